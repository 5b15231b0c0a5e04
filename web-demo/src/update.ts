// A new version of the page is offered, and taken when a person says so: nothing that is open reloads by itself.

/** What deciding about a reload needs of the page. */
export interface UpdatePage {
  /** Shows that there is a new version, until the page is left. */
  offer(): void;
  /** Whether something that a person did is not saved yet. */
  isSaving(): boolean;
  /** May come to nothing, as the person may be asked whether they want to leave. */
  reload(): void;
}

export class Update {
  /** Has the new version take over from the one that is running; until then a reload would bring the old one again. */
  #takeOver: (() => void) | undefined;
  /** A person asked for the reload, and it has not come about yet. */
  #accepted = false;

  constructor(private readonly page: UpdatePage) {}

  /** Another version is fetched and waits for its turn. */
  waits(takeOver: () => void): void {
    this.#takeOver = takeOver;
    this.page.offer();
  }

  /**
   * Another version answers this page's requests from now on: it was accepted here, or in another tab. There this page goes on
   * with what it has loaded until its own person wants the new one.
   */
  tookOver(): void {
    this.#takeOver = undefined;
    this.page.offer();
    this.#reload();
  }

  /** The person wants the new version. */
  accept(): void {
    this.#accepted = true;
    if (this.#takeOver === undefined) this.#reload();
    else this.#takeOver();
  }

  /** Something was saved. */
  saved(): void {
    if (this.#takeOver === undefined) this.#reload();
  }

  #reload(): void {
    if (!this.#accepted || this.page.isSaving()) return;
    // Used up: a person who then chose to stay is asked again before anything happens.
    this.#accepted = false;
    this.page.reload();
  }
}

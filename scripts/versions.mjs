// The exact versions of the tools that are not in a lock file. The crates' versions are in Cargo.toml and Cargo.lock, the
// npm packages' in package-lock.json.

/** Must equal the `wasm-bindgen` crate in Cargo.toml to the last digit: the tool refuses what another version compiled. */
export const WASM_BINDGEN = '0.2.108';

/** Runs the bindings' tests in a browser. Installed with cargo: the npm package of the same name downloads a binary. */
export const WASM_PACK = '0.15.1';

/** Firefox's WebDriver, for the same tests. Debian has none, and the npm package of that name downloads a binary. */
export const GECKODRIVER = '0.37.1';

/** Looks at the licences, origins and known weaknesses of all crates. */
export const CARGO_DENY = '0.20.2';

/**
 * wasm32 is what a tab runs; core must build for the other, which has no operating system and no JavaScript. (The x86-64 of that kind has
 * no SSE either, and there the compiler breaks down over the ciphers, which ask for it at run time.)
 */
export const RUST_TARGETS = ['wasm32-unknown-unknown', 'riscv64gc-unknown-none-elf'];

export const RUST_COMPONENTS = ['clippy', 'rustfmt'];

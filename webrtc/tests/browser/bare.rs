//! What the browser's data channels do by themselves, to compare with.

use js_sys::{Array, Function, Promise};
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::JsFuture;

/// 32 MiB in messages of 16 KiB with 512 KiB waiting at most, as this crate sends; then 500 round trips of 32 bytes.
const MEASURE: &str = "
return (async () => {
  const a = new RTCPeerConnection(), b = new RTCPeerConnection();
  a.onicecandidate = ({ candidate }) => candidate && b.addIceCandidate(candidate);
  b.onicecandidate = ({ candidate }) => candidate && a.addIceCandidate(candidate);
  const ours = a.createDataChannel('');
  const announced = new Promise((resolve) => { b.ondatachannel = ({ channel }) => resolve(channel); });
  await a.setLocalDescription();
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription();
  await a.setRemoteDescription(b.localDescription);
  await new Promise((resolve) => { ours.onopen = resolve; });
  const theirs = await announced;
  ours.binaryType = theirs.binaryType = 'arraybuffer';
  ours.bufferedAmountLowThreshold = 256 * 1024;
  const total = 32 * 1024 * 1024, message = new Uint8Array(16 * 1024).fill(7);
  const start = performance.now();
  let received = 0;
  const arrived = new Promise((resolve) => {
    theirs.onmessage = ({ data }) => { received += new Uint8Array(data).length; if (received === total) resolve(); };
  });
  for (let sent = 0; sent < total; sent += message.length) {
    if (ours.bufferedAmount >= 512 * 1024) await new Promise((resolve) => { ours.onbufferedamountlow = resolve; });
    ours.send(message);
  }
  await arrived;
  const rate = total / 1e3 / (performance.now() - start);
  theirs.onmessage = ({ data }) => theirs.send(data);
  const times = [];
  for (let round = 0; round < 500; round++) {
    const start = performance.now();
    const answered = new Promise((resolve) => { ours.onmessage = resolve; });
    ours.send(new Uint8Array(32));
    await answered;
    times.push(performance.now() - start);
  }
  a.close(); b.close();
  return [rate, times.sort((x, y) => x - y)[250]];
})()";

/// How long the longest task of the page took, of those that took over 50 ms, in milliseconds. Chromium alone tells.
pub(crate) struct LongTasks(Function);

impl LongTasks {
    pub(crate) async fn watch() -> Self {
        // What this task has done so far does not count.
        futures_timer::Delay::new(std::time::Duration::from_millis(1)).await;
        let longest = Function::new_no_args(
            "const tasks = [0], add = (entries) => entries.forEach(({ duration }) => tasks.push(duration));
             const observer = new PerformanceObserver((list) => add(list.getEntries()));
             observer.observe({ entryTypes: ['longtask'] });
             return () => { add(observer.takeRecords()); return Math.max(...tasks); };",
        );
        Self(longest.call0(&js_sys::global()).expect("a function").unchecked_into())
    }

    pub(crate) fn longest(&self) -> f64 {
        let longest = self.0.call0(&js_sys::global());
        longest.expect("a number").as_f64().expect("a number")
    }
}

/// Megabytes a second, and milliseconds of a round trip.
pub(crate) async fn measure() -> (f64, f64) {
    let promise: Promise = Function::new_no_args(MEASURE)
        .call0(&js_sys::global())
        .expect("a promise")
        .unchecked_into();
    let figures: Array = JsFuture::from(promise).await.expect("figures").unchecked_into();
    let figure = |index| figures.get(index).as_f64().expect("a number");
    (figure(0), figure(1))
}

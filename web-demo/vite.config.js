import { defineConfig } from 'vite';
import { serviceWorker } from './worker/build.js';

/** What the built page may do: run its own code and wasm, and open WebSockets to relays. Nothing a peer sends can load more. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self' ws: wss:",
  "manifest-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

export default defineConfig({
  // Relative, so that the folder can be served from any path.
  base: './',
  build: { target: 'es2022' },
  plugins: [
    {
      name: 'content-security-policy',
      // Vite's dev server injects inline styles, which the policy forbids.
      apply: 'build',
      transformIndexHtml: () => [
        { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' },
      ],
    },
    serviceWorker(),
  ],
});

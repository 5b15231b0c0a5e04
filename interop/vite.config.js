import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  // Not minified: a failed test shows js-libp2p's own lines.
  build: { target: 'es2022', minify: false },
});

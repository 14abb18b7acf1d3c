// Tests of the program that is started when it is built.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { runInThisContext } from 'node:vm';
import { S3, context, event, load, loader, tempDir } from './harness.mjs';
import { snapshot } from './snapshot.mjs';

// program compiles a Go program with this main, which a snapshot is to be made of.
function program(main, imports = '') {
  const dir = tempDir();
  writeFileSync(path.join(dir, 'go.mod'), 'module program\ngo 1.26\n');
  writeFileSync(path.join(dir, 'main.go'), `package main\n${imports}\nvar begun = make(chan struct{})\n\n//go:wasmexport begin\nfunc begin() { close(begun) }\n\n${main}\n`);
  execFileSync('go', ['build', '-o', 'program.wasm', '.'], { cwd: dir, env: { ...process.env, GOOS: 'js', GOARCH: 'wasm' }, stdio: 'inherit' });
  return readFileSync(path.join(dir, 'program.wasm'));
}

describe('a snapshot', () => {
  const plain = program('func main() { <-begun }');

  test('has the same bytes each time', async () => {
    assert.ok((await snapshot(loader, plain)).equals(await snapshot(loader, plain)));
  });

  test('is a program that has been set up and has not begun', async () => {
    const counts = program(`
//go:wasmimport oncegate tell
func tell(n int32)

var early = func() int32 { return int32(len(os.Args)) }()

func main() {
	<-begun
	tell(100*early + int32(len(os.Getenv("GOGC"))))
}`, 'import "os"');
    const bytes = await snapshot(loader, counts);
    const module = await WebAssembly.compile(bytes);
    runInThisContext(loader);
    const told = [];
    const go = new globalThis.Go();
    go.env = JSON.parse(Buffer.from(WebAssembly.Module.customSections(module, 'oncegate')[0])).env;
    const instance = await WebAssembly.instantiate(module, { ...go.importObject, oncegate: { tell: (n) => told.push(n) } });
    go.run(instance);
    assert.deepEqual(told, []);
    instance.exports.begin();
    go._resume();
    assert.deepEqual(told, [100 + '50'.length]);
  });

  for (const [what, main, imports, message] of [
    ['ends', 'func main() {}', '', /the program ends/],
    ['sets a timer', 'func main() { time.AfterFunc(time.Hour, func() {}); <-begun }', 'import "time"', /sets a timer/],
    ['asks the handler', '//go:wasmimport oncegate setting\nfunc setting(name string) int32\n\nfunc main() { setting("config"); <-begun }', '', /calls setting before main waits/],
    ['holds a value of JavaScript', 'var held = js.Global().Get("Date")\n\nfunc main() { <-begun; held.Type() }', 'import "syscall/js"', /none of Object/],
  ]) {
    test(`is not made of a program that ${what}`, async () => {
      await assert.rejects(snapshot(loader, program(main, imports)), message);
    });
  }
});

describe('the artifact, started long ago', () => {
  test('has the time of now and random bytes of its own', async () => {
    const s3 = await new S3().start();
    const minted = [];
    for (let i = 0; i < 2; i++) {
      const { mint } = await load(s3.url);
      const before = Date.now();
      const { body } = await mint(event('GET', '/url'), context());
      const url = new URL(body);
      const date = url.searchParams.get('X-Amz-Date').replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5');
      assert.ok(Math.abs(Date.parse(date) - before) < 60_000, date);
      minted.push(url.pathname, url.searchParams.get('X-Amz-Signature'));
    }
    s3.stop();
    assert.equal(new Set(minted).size, 4, 'two containers drew the same bytes');
  });
});

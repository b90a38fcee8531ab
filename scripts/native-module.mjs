// The one module of ours in C, src/system/libc/system-call.c: the same bytes wherever the same compiler makes it. A
// source package brings it compiled, for it is built where there may be no compiler.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const project = dirname(dirname(fileURLToPath(import.meta.url)));

export const NATIVE_SOURCE = join(project, 'src/system/libc/system-call.c');
export const NATIVE_MODULE = 'system-call.node';

const FLAGS = ['-std=gnu11', '-O2', '-g0', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-fvisibility=hidden'];
const LINKED = ['-Wl,-z,relro,-z,now', '-Wl,-s', '-Wl,--build-id=none'];

export function buildNativeModule(file) {
  mkdirSync(dirname(file), { recursive: true });
  const bundled = join(project, 'bundled', NATIVE_MODULE);
  const fresh = `${file}.new-${process.pid}`;
  if (existsSync(bundled)) copyFileSync(bundled, fresh);
  else compile(fresh);
  chmodSync(fresh, 0o644);
  renameSync(fresh, file);
}

function compile(file) {
  const headers = join(project, 'node_modules/node-api-headers/include');
  const argv = [...FLAGS, `-isystem${headers}`, '-DNAPI_VERSION=8', ...LINKED, '-o', file, NATIVE_SOURCE];
  try {
    execFileSync('gcc', argv, { cwd: project, stdio: ['ignore', 'inherit', 'inherit'] });
  } catch (error) {
    throw new Error(`gcc cannot compile ${NATIVE_SOURCE}: install gcc and libc6-dev`, { cause: error });
  }
}

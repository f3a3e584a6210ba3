// What is packed is built anew: nothing of an older build, and no source maps.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './ensure.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
rmSync(join(root, 'dist'), { recursive: true, force: true });
build(root, 'tsconfig.json', '--sourceMap', 'false');

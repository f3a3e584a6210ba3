// What a container does before the broker serves: says clearly when its volume cannot be used, and hands the CA's
// certificate to others. Then it becomes `iotlab-broker` in this very process, so that signals reach the broker itself.
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  watchFile,
} from 'node:fs';
import { join } from 'node:path';

const data = '/data';
const shared = '/ca';
const entry = '/app/dist/main.js';
/** Further names for the certificate, written by the container `names`, or given. */
const namesFile = '/names/names';

// The first process of a container ignores SIGTERM unless it says otherwise: until the broker does, this does.
for (const signal of ['SIGTERM', 'SIGINT']) {
  const leave = () => process.exit(0);
  process.on(signal, leave);
  process.on('newListener', (event, listener) => {
    // Later, when the other listener is in place: without any, Node.js would stop watching for the signal.
    if (event === signal && listener !== leave) queueMicrotask(() => process.off(signal, leave));
  });
}

function refuse(problem, remedy) {
  console.error(`iotlab-broker: ${problem} Remedy: ${remedy}`);
  process.exit(2);
}

/** The first file or folder that this user may not change, and why; files lie at most two folders deep. */
function unusable(path, depth = 0) {
  const status = statSync(path);
  try {
    accessSync(path, constants.R_OK | constants.W_OK | (status.isDirectory() ? constants.X_OK : 0));
  } catch ({ code }) {
    return { path, code, owner: `${status.uid}:${status.gid}` };
  }
  if (!status.isDirectory() || depth === 2) return null;
  for (const name of readdirSync(path)) {
    const found = unusable(join(path, name), depth + 1);
    if (found !== null) return found;
  }
  return null;
}

function checkData() {
  const found = unusable(data);
  if (found === null) return;
  const user = `${process.getuid()}:${process.getgid()}`;
  if (found.code === 'EROFS') refuse(`${data} is mounted read-only.`, `mount it without "ro".`);
  const asOwner = found.owner.startsWith('0:') ? '' : ` Or run the container with --user ${found.owner}.`;
  refuse(
    `${found.path} belongs to ${found.owner}, and this container runs as ${user}, which cannot write there.`,
    `on the host, chown -R ${user} the folder that is mounted on ${data}; for a named volume: docker run --rm --user 0 ` +
      `--entrypoint chown -v VOLUME:${data} IMAGE -R ${user} ${data}.${asOwner}`,
  );
}

/** The certificate alone: the CA's private key lies beside it and stays where it is. */
function publish(certificate) {
  if (!existsSync(shared) || !existsSync(certificate)) return;
  const target = join(shared, 'iot-lab-ca.pem');
  if (existsSync(target) && readFileSync(target).equals(readFileSync(certificate))) return;
  try {
    copyFileSync(certificate, `${target}.new`);
    renameSync(`${target}.new`, target);
  } catch ({ code }) {
    // Without a volume on /ca nobody is waiting for it.
    if (code === 'EROFS') return;
    refuse(
      `${target} cannot be written (${code}).`,
      `chown ${process.getuid()}:${process.getgid()} the volume on ${shared}.`,
    );
  }
}

const wordsOf = (text) => text.split(/[\s,]+/).filter((word) => word !== '');

function furtherNames() {
  const written = existsSync(namesFile) ? wordsOf(readFileSync(namesFile, 'utf8')) : [];
  return [...written, ...wordsOf(process.env.IOTLAB_NAMES ?? '')];
}

async function prepare() {
  checkData();
  const { loadConfig } = await import('/app/dist/config/load.js');
  const { ensureCertificates } = await import('/app/dist/listener/certificate-files.js');
  async function certify() {
    try {
      const { listener } = await loadConfig(undefined, process.env);
      await ensureCertificates(listener, furtherNames());
      publish(listener.ca);
    } catch {
      // The broker itself meets the same error, and says it in its own words.
    }
  }
  await certify();
  // The computer is in another network by now. The broker takes a new certificate up by itself.
  if (existsSync(namesFile)) watchFile(namesFile, { persistent: false, interval: 5_000 }, certify);
}

const args = process.argv.slice(2);
if (args[0] === 'serve') await prepare();
process.argv.splice(1, Number.POSITIVE_INFINITY, entry, ...args);
await import(entry);

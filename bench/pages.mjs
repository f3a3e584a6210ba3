// Browsers with a page open: each follows what happens to its user, in a stream that stays.
import { request } from 'node:https';

const LANES = 20;

function open({ ca, webPort }, path, { method = 'GET', headers = {}, body = '' } = {}) {
  const origin = `https://localhost:${webPort}`;
  const all = { ...headers, ...(body === '' ? {} : { origin, 'content-type': 'application/json' }) };
  return new Promise((resolve, reject) => {
    const asking = request(
      { host: '127.0.0.1', servername: 'localhost', port: webPort, ca, path, method, agent: false, headers: all },
      resolve,
    );
    asking.setHeader('host', `localhost:${webPort}`);
    asking.on('error', reject);
    asking.end(body);
  });
}

/** Logs `users` in, and opens `count` streams of them in turn. Whoever is not to read leaves what comes where it is. */
export async function pages(target, { users, count, reads = true }) {
  const cookies = [];
  for (const { login, password } of users) {
    const response = await open(target, '/v1/log-in', { method: 'POST', body: JSON.stringify({ login, password }) });
    response.resume();
    if (response.statusCode !== 200) throw new Error(`log-in: ${response.statusCode}`);
    cookies.push(response.headers['set-cookie'][0].split(';')[0]);
  }
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const cookie = cookies[next++ % cookies.length];
      const response = await open(target, '/v1/me/events', { headers: { cookie } });
      if (response.statusCode !== 200) throw new Error(`stream: ${response.statusCode}`);
      response.on('error', () => {});
      if (reads) response.resume();
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

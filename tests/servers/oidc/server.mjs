// An unmodified oidc-provider on loopback, an API behind it, and counts of what it was asked.
//
//   node server.mjs '{"port": 0, "accessTokenTtl": 5}'
//
// Prints one line, {"port": ...}, once it answers; goes away when its standard input closes, so that it
// never outlives whoever started it. What may be asked for is in settings.mjs.
import { createServer } from 'node:http';

import { Provider } from 'oidc-provider';
import MemoryAdapter from 'oidc-provider/lib/adapters/memory_adapter.js';
import LRU from 'oidc-provider/lib/helpers/lru.js';

import { addApi } from './api.mjs';
import { Counts } from './counts.mjs';
import { pages } from './pages.mjs';
import { configuration, withDefaults } from './settings.mjs';

// Notices would stand between the reader and the line it waits for.
console.info = console.error;

// The built-in memory forgets what is beyond 1000 entries: with many tests on one server, live tokens.
const memory = new LRU({ maxSize: 1_000_000 });
const adapter = (model) => new MemoryAdapter(model, memory, 0);

const REFUSALS = [
  'grant', 'authorization', 'whoami', 'device_authorization', 'code_verification', 'revocation',
  'introspection', 'pushed_authorization_request',
];

const settings = withDefaults(JSON.parse(process.argv[2] ?? '{}'));
let handle = (request, response) => response.writeHead(503).end();
const server = createServer((request, response) => handle(request, response));

server.listen(settings.port, '127.0.0.1', () => {
  const { port } = server.address();
  // The issuer names the port, which is known only now.
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, { ...configuration(settings, issuer), adapter });
  const counts = new Counts();

  provider.use(counts.middleware(settings));
  provider.use(pages(provider));
  addApi(provider, issuer);
  provider.on('server_error', (ctx, error) => console.error('server_error', ctx.method, ctx.path, error));
  for (const event of REFUSALS) {
    provider.on(`${event}.error`, (ctx, error) => {
      console.error(`${event}.error`, ctx.method, ctx.path, error.message, error.error_description ?? '',
        error.error_detail ?? '');
    });
  }

  handle = provider.callback();
  process.stdout.write(`${JSON.stringify({ port })}\n`);
});

process.stdin.on('end', () => process.exit(0));
process.stdin.resume();

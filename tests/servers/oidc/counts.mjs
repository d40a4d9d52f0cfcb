// What the server was asked, for a test to read at GET /stats. No token is kept, only fingerprints.
import { createHash } from 'node:crypto';

const add = (counts, name) => { counts[name] = (counts[name] ?? 0) + 1; };

export const fingerprint = (token) => createHash('sha256').update(token).digest('hex').slice(0, 8);

export class Counts {
  // Calls per route, by oidc-provider's own names: discovery, jwks, token, revocation, ...
  routes = {};

  // Of the token endpoint: calls, and those refused, by grant type; by error code; by how the client
  // authenticated. A call with a challenge for a DPoP nonce counts as refused, with use_dpop_nonce.
  token = { calls: {}, refused: {}, errors: {}, auth: {}, dpop: 0 };

  // When the calls arrived that renewed something, in milliseconds since the epoch.
  renewed = [];

  // How often each refresh token was shown to the token endpoint, whatever the answer.
  refresh_tokens = {};

  api = { calls: 0, unauthorized: 0 };

  middleware({ deviceInterval }) {
    return async (ctx, next) => {
      if (ctx.path === '/stats') {
        const { routes, token, renewed, refresh_tokens, api } = this;
        ctx.body = { routes, token, renewed, refresh_tokens, api };
        return;
      }
      const arrived = Date.now();
      await next();
      const { oidc } = ctx;
      if (!oidc?.route) return;
      add(this.routes, oidc.route);
      if (oidc.route === 'token') this.#tokenCall(ctx, oidc, arrived);
      if (ctx.path.startsWith('/api/')) {
        this.api.calls += 1;
        if (ctx.status === 401) this.api.unauthorized += 1;
      }
      // oidc-provider never says how often to ask, so clients ask every 5 seconds (RFC 8628 section 3.2).
      if (oidc.route === 'device_authorization' && ctx.status === 200 && deviceInterval !== undefined) {
        ctx.body = { ...ctx.body, interval: deviceInterval };
      }
    };
  }

  #tokenCall(ctx, oidc, arrived) {
    const body = oidc.body ?? {};
    const grant = body.grant_type ?? 'none';
    add(this.token.calls, grant);
    if (ctx.status !== 200) {
      add(this.token.refused, grant);
      add(this.token.errors, ctx.body?.error ?? String(ctx.status));
    } else if (grant === 'refresh_token') {
      this.renewed.push(arrived);
    }
    let auth = 'none';
    if (ctx.headers.authorization) auth = 'header';
    else if (body.client_secret) auth = 'post';
    else if (body.client_assertion) auth = 'assertion';
    add(this.token.auth, auth);
    if (ctx.headers.dpop) this.token.dpop += 1;
    if (body.refresh_token) add(this.refresh_tokens, fingerprint(body.refresh_token));
  }
}

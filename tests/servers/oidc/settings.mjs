// What a test may ask of the server, and the configuration of oidc-provider that follows from it.
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';

import { errors } from 'oidc-provider';

import { clients } from './clients.mjs';
import { confirmPage, endPage, errorPage, inputPage } from './pages.mjs';

const DEFAULTS = {
  port: 0, // 0: a free one
  accessTokenTtl: 5, // seconds; of client credentials too
  refreshTokenTtl: 14 * 24 * 60 * 60,
  deviceCodeTtl: 600,
  deviceInterval: undefined, // seconds, put into the answer of the device endpoint; oidc-provider gives none
  rotate: true, // a new refresh token for every one used; one used twice ends its whole family
  refreshAlways: [], // clients that get a refresh token without asking for offline_access
  pkceAlways: true, // else only from clients without a secret
  // DPoP nonces (RFC 9449 section 8): none; given but not demanded; demanded everywhere, or only at
  // 'token' or 'whoami' (a list of route names).
  dpopNonce: 'none', // 'none', 'offered', 'required', or ['token'], ['whoami']
  exactRedirect: 'http://127.0.0.1:18080/callback', // of the client `exact`
  jwks: undefined, // public keys of the client `pkjwt`; without them there is no such client
  clients: [], // more of them, in the words of RFC 7591
};

export function withDefaults(given) {
  const unknown = Object.keys(given).filter((name) => !(name in DEFAULTS));
  if (unknown.length) throw new Error(`unknown settings: ${unknown.join(', ')}`);
  return { ...DEFAULTS, ...given };
}

function signingKey() {
  // By way of PEM: Node 20 hangs now and then when it exports a key that it has just made, since collecting
  // the garbage of the making takes the lock that the export holds.
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const jwk = createPrivateKey(privateKey).export({ format: 'jwk' });
  return { ...jwk, use: 'sig', alg: 'RS256', kid: 'of-this-run' };
}

export function configuration(settings, issuer) {
  const nonces = settings.dpopNonce;
  return {
    clients: clients(settings),
    jwks: { keys: [signingKey()] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    scopes: ['openid', 'offline_access', 'profile', 'read', 'write'],
    claims: { openid: ['sub'], profile: ['name'] },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, name: `${id} of the tests` }) }),
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    rotateRefreshToken: settings.rotate,
    issueRefreshToken: (ctx, client, source) => client.grantTypeAllowed('refresh_token')
      && (source.scopes.has('offline_access') || settings.refreshAlways.includes(client.clientId)),
    // Else a refresh token without offline_access dies with the browser session.
    expiresWithSession: () => false,
    pkce: { required: (ctx, client) => settings.pkceAlways || client.clientAuthMethod === 'none' },
    renderError: errorPage,
    ttl: {
      AccessToken: settings.accessTokenTtl,
      ClientCredentials: settings.accessTokenTtl,
      RefreshToken: settings.refreshTokenTtl,
      DeviceCode: settings.deviceCodeTtl,
      AuthorizationCode: 60,
      IdToken: 3600,
      Interaction: 3600,
      Session: 14 * 24 * 60 * 60,
      Grant: 14 * 24 * 60 * 60,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: inputPage,
        userCodeConfirmSource: confirmPage,
        successSource: endPage,
      },
      dPoP: {
        enabled: true,
        nonceSecret: nonces === 'none' ? undefined : randomBytes(32),
        requireNonce: (ctx) => nonces === 'required'
          || (Array.isArray(nonces) && nonces.includes(ctx.oidc.route)),
      },
      introspection: { enabled: true, allowedPolicy: (ctx, client) => client.clientAuthMethod !== 'none' },
      pushedAuthorizationRequests: { enabled: true },
      revocation: { enabled: true },
      rpInitiatedLogout: { enabled: false },
      resourceIndicators: {
        enabled: true,
        // Every resource under the issuer is an API of ours; any other is an invalid_target.
        getResourceServerInfo: (ctx, resource) => {
          if (!resource.startsWith(`${issuer}/`)) throw new errors.InvalidTarget();
          return {
            scope: 'read write',
            audience: resource,
            accessTokenTTL: settings.accessTokenTtl,
            accessTokenFormat: 'opaque',
          };
        },
      },
    },
  };
}

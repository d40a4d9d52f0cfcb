// GET and POST /api/whoami: whom a token speaks for, or why it is refused.
//
// Judged as oidc-provider judges its own userinfo endpoint, with its own parts, so that what a token is worth
// here is what the server says it is worth. Client credentials are welcome too, which userinfo refuses.
import als from 'oidc-provider/lib/helpers/als.js';
import { InvalidToken } from 'oidc-provider/lib/helpers/errors.js';
import validateDpop, { checkDpopReplay } from 'oidc-provider/lib/helpers/validate_dpop.js';
import internals from 'oidc-provider/lib/helpers/weak_cache.js';
import { loadAccessTokenClient, loadAccessTokenGrant } from 'oidc-provider/lib/shared/access_token.js';
import answerErrors from 'oidc-provider/lib/shared/error_handler.js';
import noCache from 'oidc-provider/lib/shared/no_cache.js';
import challenge from 'oidc-provider/lib/shared/set_www_authenticate_header.js';

const PATH = '/api/whoami';

export function addApi(provider, issuer) {
  const { router } = internals(provider);

  // What the provider does before each route of its own.
  const inContext = (ctx, next) => {
    const oidc = new provider.OIDCContext(ctx);
    Object.defineProperty(ctx, 'oidc', { get: () => oidc });
    return als.run(ctx, next);
  };

  const judge = async (ctx, next) => {
    const value = ctx.oidc.getAccessToken({ acceptDPoP: true });
    const proof = await validateDpop(provider, ctx, value);
    const token = await provider.AccessToken.find(value) ?? await provider.ClientCredentials.find(value);
    // Expired and revoked ones are not found either.
    if (!token) throw new InvalidToken('access token not found');
    ctx.oidc.entity('AccessToken', token);
    if (token.aud !== undefined && ![token.aud].flat().includes(`${issuer}/api`)) {
      throw new InvalidToken('access token is for another resource');
    }
    await checkDpopReplay(provider, ctx, proof, token.clientId, InvalidToken);
    if (proof && !token.jkt) throw new InvalidToken('access token is not bound, but DPoP was used');
    if (token.jkt && token.jkt !== proof?.thumbprint) throw new InvalidToken('failed jkt verification');
    await next();
  };

  const livingGrant = (ctx, next) => (
    ctx.oidc.accessToken.grantId ? loadAccessTokenGrant(ctx, next) : next()
  );

  const answer = (ctx) => {
    const { accountId, clientId, scope, tokenType } = ctx.oidc.accessToken;
    ctx.body = { sub: accountId ?? null, client_id: clientId, scope: scope ?? '', token_type: tokenType };
  };

  const steps = [
    inContext, noCache, answerErrors('whoami.error'), challenge(), judge, loadAccessTokenClient, livingGrant,
    answer,
  ];
  router.get('whoami', PATH, ...steps);
  router.post('whoami', PATH, ...steps);
}

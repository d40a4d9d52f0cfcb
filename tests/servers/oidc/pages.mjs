// Login, consent and the pages of the device flow: plain forms that load nothing from anywhere.
import { text } from 'node:stream/consumers';

import safe from 'oidc-provider/lib/helpers/html_safe.js';

const page = (title, body) => `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>${safe(title)}</title></head>
<body>
<h1>${safe(title)}</h1>
${body}
</body>
</html>`;

const loginForm = (uid) => page('Sign in', `
<form method="post" action="/interaction/${uid}">
  <input type="text" name="login" placeholder="Any name" required autofocus>
  <button type="submit" name="action" value="login">Sign in</button>
  <button type="submit" name="action" value="deny" formnovalidate>Cancel</button>
</form>`);

const consentForm = (uid, clientId, wanted) => page('Allow access?', `
<p>${safe(clientId)} asks for: ${safe(wanted.join(', ') || 'what you allowed before')}</p>
<form method="post" action="/interaction/${uid}">
  <button type="submit" name="action" value="allow">Allow</button>
  <button type="submit" name="action" value="deny">Deny</button>
</form>`);

const show = (ctx, title, body) => {
  ctx.type = 'html';
  ctx.body = page(title, body);
};

export async function errorPage(ctx, out) {
  const lines = Object.entries(out).map(([key, value]) => `<p>${safe(key)}: ${safe(String(value))}</p>`);
  show(ctx, 'Refused', lines.join('\n'));
}

export async function inputPage(ctx, form, out, error) {
  const said = error ? `<p class="error">${safe(error.name)}</p>` : '';
  show(ctx, 'Enter the code of your device', `${said}
${form}
<button type="submit" form="op.deviceInputForm">Continue</button>`);
}

export async function confirmPage(ctx, form, client, info, code) {
  show(ctx, 'Is this your device?', `<p>${safe(client.clientId)}: <code>${safe(code)}</code></p>
${form}
<button type="submit" form="op.deviceConfirmForm">Continue</button>
<button type="submit" form="op.deviceConfirmForm" name="abort" value="deny">Abort</button>`);
}

export async function endPage(ctx) {
  show(ctx, 'Signed in', '<p>You may close this page.</p>');
}

async function grantOf(provider, { prompt: { details }, grantId, session, params }) {
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (details.missingOIDCScope) grant.addOIDCScope(details.missingOIDCScope.join(' '));
  if (details.missingOIDCClaims) grant.addOIDCClaims(details.missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(details.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return grant.save();
}

async function result(provider, interaction, form) {
  const { prompt } = interaction;
  if (form.get('action') === 'login' && prompt.name === 'login' && form.get('login')) {
    return { login: { accountId: form.get('login') } };
  }
  if (form.get('action') === 'allow' && prompt.name === 'consent') {
    return { consent: { grantId: await grantOf(provider, interaction) } };
  }
  return { error: 'access_denied', error_description: 'the person said no' };
}

export const pages = (provider) => async (ctx, next) => {
  const uid = /^\/interaction\/([\w-]+)$/.exec(ctx.path)?.[1];
  if (!uid) {
    await next();
    return;
  }
  const interaction = await provider.interactionDetails(ctx.req, ctx.res);
  if (ctx.method === 'POST') {
    const form = new URLSearchParams(await text(ctx.req));
    const answer = await result(provider, interaction, form);
    ctx.status = 303;
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, answer));
    return;
  }
  const { prompt: { name, details }, params } = interaction;
  const wanted = [
    ...details.missingOIDCScope ?? [],
    ...Object.values(details.missingResourceScopes ?? {}).flat(),
  ];
  ctx.type = 'html';
  ctx.body = name === 'login' ? loginForm(uid) : consentForm(uid, params.client_id, wanted);
};

// Who may ask for tokens. Each is named after what sets it apart.
const CODE = ['authorization_code', 'refresh_token'];
const DEVICE = ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'];

// A native client may be sent back to any port of these (RFC 8252 section 7.3).
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'].flatMap((host) => [
  `http://${host}/callback`, `http://${host}/`,
]);

export const secretOf = (id) => `secret-of-${id}-long-enough-for-hmac-sha256`;

// It is sent form-encoded inside Basic (RFC 6749 section 2.3.1); a client that does not encode is refused.
const ODD_SECRET = 'a:b+c%d/e=f&g h?i';

const native = (id, method, more = {}) => ({
  client_id: id,
  client_secret: method === 'none' || method === 'private_key_jwt' ? undefined : secretOf(id),
  token_endpoint_auth_method: method,
  application_type: 'native',
  grant_types: CODE,
  redirect_uris: LOOPBACK,
  ...more,
});

const device = (id, method) => native(id, method, {
  grant_types: DEVICE, response_types: [], redirect_uris: [],
});

export function clients({ exactRedirect, jwks, clients: more }) {
  const both = { grant_types: [...CODE, 'client_credentials'] };
  return [
    native('basic', 'client_secret_basic', both),
    native('odd:client', 'client_secret_basic', { ...both, client_secret: ODD_SECRET }),
    native('post', 'client_secret_post', both),
    native('jwt', 'client_secret_jwt', both),
    ...(jwks ? [native('pkjwt', 'private_key_jwt', { ...both, jwks })] : []),
    native('public', 'none'),
    native('exact', 'client_secret_basic', { application_type: 'web', redirect_uris: [exactRedirect] }),
    device('device', 'none'),
    device('device-conf', 'client_secret_basic'),
    native('par', 'client_secret_basic', { require_pushed_authorization_requests: true }),
    // The refresh tokens of a public client are bound to the key as well (RFC 9449 section 5).
    native('dpop', 'none', { dpop_bound_access_tokens: true, grant_types: [...CODE, DEVICE[0]] }),
    native('dpop-conf', 'client_secret_basic', { ...both, dpop_bound_access_tokens: true }),
    ...more,
  ];
}

// An OpenID provider that lets anybody in under the name they type; port and client are arguments.
import { Provider } from 'oidc-provider'

const [port, callback, secret, told] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`
const provider = new Provider(issuer, {
  clients: [{ client_id: 'stepdown', client_secret: secret, redirect_uris: [callback] }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: told !== 'in-token',
  features: { devInteractions: { enabled: true } },
  pkce: { required: () => true, methods: ['S256'] },
  cookies: { keys: ['only', 'for', 'tests'] },
  async findAccount(context, id) {
    const email_verified = !id.startsWith('unverified')
    return { accountId: id, claims: async () => ({ sub: id, email: id, email_verified }) }
  },
})
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'))

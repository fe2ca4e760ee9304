// An agency's system on npm oauth4webapi, for tests/integration/test_openid_client.py: client credentials with DPoP, then a call.
// Reads {issuer, client, key, scope, resource, path} from stdin, prints one JSON object of what it saw.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { webcrypto } from "node:crypto";

const [modules] = process.argv.slice(2);
const find = createRequire(join(modules, "any.js"));
const oauth = await import(pathToFileURL(find.resolve("oauth4webapi")));
const asked = JSON.parse(readFileSync(0, "utf8"));
const insecure = { [oauth.allowInsecureRequests]: true };
const { use, alg, ...jwk } = asked.key;
const key = { key: await webcrypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]), kid: asked.key.kid };
const issuer = new URL(asked.issuer);
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure }));
const client = { client_id: asked.client };
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));

async function token(scope) {
  const parameters = new URLSearchParams({ scope, resource: asked.resource });
  const answer = await oauth.clientCredentialsGrantRequest(server, client, oauth.PrivateKeyJwt(key), parameters, { DPoP, ...insecure });
  return oauth.processClientCredentialsResponse(server, client, answer);
}

const good = await token(asked.scope);
const call = async (options) => {
  try {
    const answer = await oauth.protectedResourceRequest(good.access_token, "GET", new URL(asked.path, issuer), undefined, undefined, { ...options, ...insecure });
    return answer.status;
  } catch (error) {
    return error.response?.status ?? error.status ?? String(error);
  }
};
let over = "accepted";
try { await token("audit.read"); } catch (error) { over = error.error; }
console.log(JSON.stringify({ type: good.token_type, scope: good.scope, called: await call({ DPoP }), bearer: await call({}), over }));

// A real OpenID provider (npm oidc-provider) for the campaign beside this file: node provider.mjs FOLDER
// FOLDER/provider.json says what it is: port, signing keys, client; FOLDER has its certificate. It prints one line when it listens.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [, , folder, packages] = process.argv;
const { default: Provider } = await import(pathToFileURL(createRequire(`${packages}/`).resolve("oidc-provider")));
const wanted = JSON.parse(readFileSync(`${folder}/provider.json`));

const provider = new Provider(wanted.issuer, {
  clients: [
    {
      client_id: "desk",
      client_secret: wanted.secret,
      redirect_uris: [wanted.back],
      response_types: ["code"],
      grant_types: ["authorization_code"],
      id_token_signed_response_alg: "ES256",
    },
  ],
  jwks: { keys: wanted.keys },
  cookies: { keys: [wanted.secret] },
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "read",
        audience: "gatehouse",
        accessTokenFormat: "jwt",
        accessTokenTTL: 600,
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});
const certificate = { key: readFileSync(wanted.key), cert: readFileSync(wanted.certificate) };
createServer(certificate, provider.callback()).listen(wanted.port, "127.0.0.1", () => console.log("listening"));

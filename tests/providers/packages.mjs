// The npm packages of the programs here. tests/clients/setup.sh installs them next to the MCP clients, once for all.

export { Provider, errors, interactionPolicy } from '../clients/node_modules/oidc-provider/lib/index.js';
export { CompactSign, decodeJwt, decodeProtectedHeader, importJWK } from '../clients/node_modules/jose/dist/webapi/index.js';
export { generateKey } from '../clients/idp/keys.mjs';
export { memoryStore } from '../clients/idp/store.mjs';

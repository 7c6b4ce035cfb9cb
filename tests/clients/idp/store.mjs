// Where oidc-provider keeps clients, codes, grants and sessions: in memory, shared by the provider instances that
// follow each other when keys rotate.

/** An adapter factory over one common map. */
export function memoryStore() {
  const records = new Map();
  return (model) => new Adapter(model, records);
}

class Adapter {
  constructor(model, records) {
    this.model = model;
    this.records = records;
  }

  #key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload) {
    const { scope, ...rest } = payload;
    // A client can step up later to any scope of the resource: its registered scopes are not a limit.
    this.records.set(this.#key(id), this.model === 'Client' ? rest : payload);
  }

  async find(id) {
    return this.records.get(this.#key(id));
  }

  async findByUid(uid) {
    return this.#first(({ uid: stored }) => stored === uid);
  }

  async findByUserCode(userCode) {
    return this.#first(({ userCode: stored }) => stored === userCode);
  }

  async consume(id) {
    this.records.get(this.#key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.records.delete(this.#key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, record] of this.records) {
      if (record.grantId === grantId) this.records.delete(key);
    }
  }

  #first(matches) {
    for (const [key, record] of this.records) {
      if (key.startsWith(`${this.model}:`) && matches(record)) return record;
    }
    return undefined;
  }
}

// Keeps in the browser (IndexedDB) what must outlive its page: the upload in progress, and the answers of a reviewer until
// the gateway has confirmed them.

export class Kept {
  constructor(database, store, options) { Object.assign(this, { database, store, options }); }

  open() {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open(this.database, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(this.store, this.options);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  }

  // Runs `work` on the store in a transaction; resolves to the result of the request that it returns, once it is stored.
  async transact(mode, work) {
    const database = await this.open();
    try {
      return await new Promise((resolve, reject) => {
        const transaction = database.transaction(this.store, mode, { durability: "strict" });
        const request = work(transaction.objectStore(this.store));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onerror = transaction.onabort = () => reject(transaction.error);
      });
    } finally {
      database.close();
    }
  }

  put(value, key) { return this.transact("readwrite", (store) => store.put(value, key)); }
  get(key) { return this.transact("readonly", (store) => store.get(key)); }
  all() { return this.transact("readonly", (store) => store.getAll()); }
  delete(key) { return this.transact("readwrite", (store) => store.delete(key)); }
}

const uploads = new Kept("tidepool", "uploads"), CURRENT = "current";

export const keep = (upload) => uploads.put(upload, CURRENT);
export const kept = () => uploads.get(CURRENT);
export const forget = () => uploads.delete(CURRENT);

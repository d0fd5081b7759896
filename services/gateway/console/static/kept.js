// Keeps the upload in progress in the browser (IndexedDB), so that it goes on after the page was loaded again.

const STORE = "uploads", KEY = "current";

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("tidepool", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function transact(mode, work) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

export const keep = (upload) => transact("readwrite", (store) => store.put(upload, KEY));
export const kept = () => transact("readonly", (store) => store.get(KEY));
export const forget = () => transact("readwrite", (store) => store.delete(KEY));

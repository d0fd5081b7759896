// Where the model is, and a key that may do nothing but predict, from this page's origin. Visitors can read it.
export const TIDEPOOL = {
  url: "http://127.0.0.1:8080",
  model: "clothing-probe@production",
  key: "tp_…",
};

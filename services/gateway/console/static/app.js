// The script of every page: the live stream, the elements, and what forms do beyond plain HTML.
import "./elements.js";
import "./chart.js";
import { connect } from "./live.js";

connect();

// <select data-submits> sends its form when it changes.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});

// <select data-goes="/path/"> goes to the address of the chosen value; <form data-compare> to that of two values.
document.addEventListener("change", (event) => {
  if (event.target.dataset.goes) location.assign(event.target.dataset.goes + encodeURIComponent(event.target.value));
  const compare = event.target.closest("form[data-compare]");
  if (compare) location.assign(compare.dataset.compare + [...compare.querySelectorAll("select")].map((select) => select.value).join("/"));
});

// <img data-fallback="…"> shows another address if its own is no image that the browser knows, such as a TIFF.
document.addEventListener("error", (event) => {
  const image = event.target;
  if (image.dataset?.fallback) { image.src = image.dataset.fallback; delete image.dataset.fallback; }
}, true);

// <form data-confirm="Question" data-confirm-text="…" data-confirm-yes="Delete"> asks before it is sent.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.confirm || form.dataset.confirmed) return;
  event.preventDefault();
  const dialog = document.getElementById("confirm");
  dialog.querySelector("#confirm-title").textContent = form.dataset.confirm;
  dialog.querySelector("#confirm-text").textContent = form.dataset.confirmText ?? "";
  dialog.querySelector("#confirm-yes").textContent = form.dataset.confirmYes ?? "Yes";
  dialog.returnValue = "no";
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "yes") return;
    form.dataset.confirmed = "yes";
    form.requestSubmit(event.submitter);
  }, { once: true });
  dialog.showModal();
}, true);

// A form is sent once, even if its button is clicked twice.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method === "dialog") return;
  setTimeout(() => event.submitter?.setAttribute("aria-disabled", "true"));
});
document.addEventListener("click", (event) => {
  if (event.target.closest('[aria-disabled="true"]')) event.preventDefault();
});
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll('button[aria-disabled="true"]')) button.removeAttribute("aria-disabled");
});

// "/" goes to the search field, if the page has one.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
  const search = document.querySelector('input[type="search"]');
  if (search) { event.preventDefault(); search.focus(); }
});

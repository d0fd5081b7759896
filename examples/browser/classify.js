import { TIDEPOOL } from "./settings.js";

const drop = document.querySelector(".drop");
const picture = document.querySelector("img");
const status = document.querySelector("[role=status]");
const list = document.querySelector("ol");

/** Return the predictions for an image file, best first; throws an Error whose message is for people. */
async function classify(file) {
  const [name, which] = TIDEPOOL.model.split("@");
  const address = new URL(`/v1/models/${encodeURIComponent(name)}/predict`, TIDEPOOL.url);
  address.searchParams.set("top_k", "5");
  if (which) address.searchParams.set(/^\d+$/.test(which) ? "version" : "alias", which);
  let response;
  try {
    response = await fetch(address, {
      method: "POST",
      headers: { Authorization: `Bearer ${TIDEPOOL.key}` },
      body: file,
    });
  } catch {
    throw new Error(`${TIDEPOOL.url} cannot be reached from ${location.origin}; is this origin allowed there?`);
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail); // problem details, RFC 9457
  return answer.predictions;
}

async function show(file) {
  if (!file) return;
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  picture.hidden = false;
  status.textContent = "Looking …";
  list.replaceChildren();
  try {
    const predictions = await classify(file);
    status.textContent = `This is probably: ${predictions[0].label}`;
    list.replaceChildren(...predictions.map(row));
  } catch (error) {
    status.textContent = error.message;
  }
}

function row({ label, score }) {
  const item = document.createElement("li");
  const meter = Object.assign(document.createElement("meter"), { value: score, ariaLabel: label });
  item.append(label, ` ${(100 * score).toFixed(1)} %`, meter);
  return item;
}

document.querySelector("input").addEventListener("change", (event) => show(event.target.files[0]));
document.addEventListener("paste", (event) => show(event.clipboardData.files[0]));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  show(event.dataTransfer.files[0]);
});
for (const name of ["dragenter", "dragleave", "drop"]) {
  drop.addEventListener(name, () => drop.classList.toggle("over", name === "dragenter"));
}

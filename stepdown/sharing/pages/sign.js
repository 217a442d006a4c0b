// Signs a decision in the browser: the private key is read from its file, used, and forgotten.
// No request leaves this script; the signed statement goes out with the form beside it.
"use strict";

// One spelling of a document, byte for byte as the server spells it: sorted keys, one space of
// indent, nothing but what JSON must escape, a line's end. Keys are ASCII, so that any order is one.
function canonicalJson(facts) {
  const sorted = (value) =>
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]))
      : Array.isArray(value) ? value.map(sorted) : value;
  return JSON.stringify(sorted(facts), null, 1) + "\n";
}

function base64(bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)));
}

async function readKey(pem) {
  if (pem.includes("ENCRYPTED")) {
    throw new Error("The key has a passphrase: sign with `stepdown sign` and upload what it makes.");
  }
  const body = pem.match(/-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----/);
  try {
    const der = Uint8Array.from(atob(body[1].replace(/\s/g, "")), (sign) => sign.charCodeAt(0));
    const key = await crypto.subtle.importKey("pkcs8", der, "Ed25519", true, ["sign"]);
    const half = (await crypto.subtle.exportKey("jwk", key)).x;
    const standard = half.replace(/-/g, "+").replace(/_/g, "/");
    return { key, publicKey: "ed25519:" + standard.padEnd(44, "=") };
  } catch (error) {
    if (error.name === "NotSupportedError") {
      throw new Error("This browser is too old to sign: use `stepdown sign`, and upload what it makes.");
    }
    throw new Error("The file is not a private key as `stepdown keygen` writes it.");
  }
}

async function sign(statement, pem) {
  const { key, publicKey } = await readKey(pem);
  const bytes = new TextEncoder().encode(canonicalJson(statement));
  const signature = base64(await crypto.subtle.sign("Ed25519", key, bytes));
  return { statement, public_key: publicKey, signature };
}

async function sha256(file) {
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function start(section) {
  const field = (id) => document.getElementById(id);
  const people = JSON.parse(section.dataset.people);
  const asked = section.dataset.evidence.split(" ");
  const decision = () => section.querySelector("[name=decision]:checked").value;
  const needsEvidence = () => decision() === "approve" && asked.includes(field("role").value);

  // The server's clock goes on while the page is open; this machine's may be wrong.
  const now = () => {
    const at = Date.parse(section.dataset.at) + performance.now();
    return new Date(at).toISOString().slice(0, 19) + "+00:00";
  };

  const show = () => {
    field("role-row").hidden = decision() === "reject";
    field("evidence").hidden = !needsEvidence();
    for (const id of ["consulted", "how", "when", "document"]) field(id).required = needsEvidence();
    field("reason").required = decision() === "reject";
  };

  const evidence = async () => ({
    consulted: field("consulted").value.trim(),
    how: field("how").value.trim(),
    when: field("when").value,
    document_sha256: await sha256(field("document").files[0]),
  });

  const statement = async () => ({
    ...JSON.parse(section.dataset.statement),
    decision: decision(),
    name: field("name").value.trim().split(/\s+/).join(" "),
    role: decision() === "approve" ? field("role").value : "",
    reason: field("reason").value.trim(),
    evidence: needsEvidence() ? await evidence() : null,
    at: now(),
  });

  const tell = (problem) => {
    field("sign-problem").textContent = problem;
    field("sign-problem").hidden = !problem;
  };

  field("key").addEventListener("change", async () => {
    tell("");
    if (!field("key").files.length) return;
    try {
      const { publicKey } = await readKey(await field("key").files[0].text());
      if (people[publicKey]) field("name").value = people[publicKey];
      else tell("This key belongs to nobody in people.yaml.");
    } catch (error) {
      tell(error.message);
    }
  });

  field("signing").addEventListener("change", show);
  field("signing").addEventListener("submit", async (event) => {
    event.preventDefault();
    tell("");
    if (!field("signing").reportValidity()) return;
    try {
      const pem = await field("key").files[0].text();
      const signed = await sign(await statement(), pem);
      field("signed").value = "";
      field("pasted").value = canonicalJson(signed);
      field("upload").submit();
    } catch (error) {
      tell(error.message);
    }
  });
  show();
  section.hidden = false;
}

// Browsers sign only where nobody between could change this page: over HTTPS, or on this machine.
if (globalThis.crypto && crypto.subtle) start(document.getElementById("sign"));

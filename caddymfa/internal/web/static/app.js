// Comforts only: every page also works without this file.
"use strict";

// What needs this script is hidden until it is there to serve it.
for (const button of document.querySelectorAll("[data-copy],[data-download],[data-print]")) {
	// Browsers offer the clipboard on encrypted connections only.
	if (!("copy" in button.dataset) || navigator.clipboard) button.hidden = false;
}

const textOf = (selector) =>
	Array.from(document.querySelectorAll(selector), (e) => e.textContent.trim()).join("\n");

const tell = (button) => {
	const status = button.parentElement.querySelector("[role=status]");
	if (status) status.textContent = button.dataset.done;
};

document.addEventListener("click", async (event) => {
	const button = event.target.closest("button[type=button]");
	if (!button) return;
	const { copy, download, file, head } = button.dataset;
	if (copy) {
		await navigator.clipboard.writeText(textOf(copy));
		tell(button);
	} else if (download) {
		const blob = new Blob([head, "\n\n", textOf(download), "\n"], { type: "text/plain" });
		const link = document.createElement("a");
		link.href = URL.createObjectURL(blob);
		link.download = file;
		link.click();
		URL.revokeObjectURL(link.href);
		tell(button);
	} else if ("print" in button.dataset) {
		window.print();
	}
});

// Security keys and passkeys. The server makes the options and checks the
// answer; this only carries both.
const keyForms = document.querySelectorAll("[data-key-get],[data-key-create]");
if (keyForms.length && window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON) {
	document.querySelectorAll("[data-key-missing]").forEach((e) => (e.hidden = true));
	let waiting = null; // the quiet request behind the address field's suggestions
	const ask = async (form, conditional) => {
		const { keyGet, keyCreate } = form.dataset;
		const failed = form.querySelector(".key-failed");
		if (waiting) waiting.abort();
		waiting = new AbortController();
		try {
			const credential = keyGet
				? await navigator.credentials.get({
						publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(keyGet)),
						mediation: conditional ? "conditional" : "optional",
						signal: waiting.signal,
					})
				: await navigator.credentials.create({
						publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(keyCreate)),
						signal: waiting.signal,
					});
			form.elements.response.value = JSON.stringify(credential.toJSON());
			form.dataset.answered = "yes";
			form.requestSubmit();
		} catch (error) {
			if (error.name !== "AbortError" && !conditional && failed) failed.hidden = false;
		}
	};
	for (const form of keyForms) {
		form.hidden = false;
		form.addEventListener("submit", (event) => {
			if (form.dataset.answered) return;
			event.preventDefault();
			event.stopPropagation();
			ask(form, false);
		});
		if ("keyConditional" in form.dataset && PublicKeyCredential.isConditionalMediationAvailable) {
			PublicKeyCredential.isConditionalMediationAvailable().then((can) => can && ask(form, true));
		}
	}
}

// A sign-in with a code says whether this device could hold a passkey.
const codeForm = document.querySelector("[data-passkeys]");
if (codeForm && window.PublicKeyCredential) {
	PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable().then((can) => {
		if (!can) return;
		const mark = document.createElement("input");
		mark.type = "hidden";
		mark.name = "passkeys";
		mark.value = "yes";
		codeForm.append(mark);
	});
}

// A one-time code in the link's fragment goes into its field, and out of the
// address bar and the history.
const field = document.querySelector("[data-fragment]");
if (field && location.hash.length > 1) {
	field.value = decodeURIComponent(location.hash.slice(1));
	history.replaceState(null, "", location.pathname + location.search);
}

// A link to a form that is also on this page opens it here. Without this script
// it leads to a page that holds the form.
for (const link of document.querySelectorAll("[data-opens]")) {
	const dialog = document.getElementById(link.dataset.opens);
	if (!dialog || !dialog.showModal) continue;
	link.addEventListener("click", (event) => {
		event.preventDefault();
		dialog.showModal();
		(dialog.querySelector(":checked") || dialog).focus();
	});
}
for (const link of document.querySelectorAll("[data-closes]")) {
	const dialog = document.getElementById(link.dataset.closes);
	if (!dialog || !dialog.close) continue;
	link.addEventListener("click", (event) => {
		event.preventDefault();
		dialog.close();
	});
}

// A form goes out once, however often its button is pressed. The button keeps
// the focus, so it is marked and not switched off. Coming back to the page, or
// an answer that never comes, releases it.
const release = (form) => {
	delete form.dataset.sent;
	for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
};

document.addEventListener("submit", (event) => {
	const form = event.target;
	if (form.dataset.sent) {
		event.preventDefault();
		return;
	}
	form.dataset.sent = "yes";
	for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
	setTimeout(release, 10000, form);
});

window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(release));

// Where no field takes the focus by itself, the problem does.
const problem = document.getElementById("problem");
if (problem && !document.querySelector("[autofocus]")) problem.focus();

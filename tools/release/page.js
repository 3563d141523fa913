"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const form = at("form");
  const rules = JSON.parse(form.dataset.rules);
  const fields = [...form.querySelectorAll("[data-parameter]")];
  const own = { ProviderName: "", ProviderAccount: "" }; // what was typed while another template had its own

  const title = (field) => form.querySelector('label[for="' + field.id + '"]').textContent;
  const given = (id) => at(id).value.trim();
  const chosen = () => at("template").selectedOptions[0];

  // wrong says what is wrong with one field by itself; "" if nothing is.
  const wrong = (field) => {
    const value = field.value.trim();
    if (field.tagName === "SELECT" || value === "") return "";
    if (field.dataset.least !== undefined) {
      const n = /^[0-9]{1,9}$/.test(value) ? Number(value) : -1;
      const least = Number(field.dataset.least), most = Number(field.dataset.most);
      return n >= least && n <= most ? "" : "must be a number from " + least + " to " + most;
    }
    const pattern = new RegExp(field.dataset.pattern);
    const items = field.dataset.list === undefined ? [value] : value.split(",");
    return items.every((item) => item !== "" && pattern.test(item)) ? "" : "must be " + field.dataset.says;
  };

  // wrongTogether says what is wrong between fields, as the template's rules would, by the field to look at.
  const wrongTogether = () => {
    const out = [];
    const powerful = given("Permissions").split(",").filter((arn) => rules.administratorLike.includes(arn));
    const repeated = given("AdministratorAccessFor");
    if (powerful.length > 0 && (repeated === "" || repeated !== given("ProviderAccount"))) {
      out.push(["AdministratorAccessFor", "must repeat the provider's account, for " + powerful.join(", ") + " lets it do nearly everything"]);
    }
    for (const [first, second] of rules.together) {
      if ((given(first) === "") !== (given(second) === "")) out.push([first, "belongs together with " + title(at(second))]);
    }
    const fit = rules.overlaps[given("RotateEvery")];
    if (fit !== undefined && !fit.includes(given("Overlap"))) {
      out.push(["Overlap", "must be one of " + fit.join(", ") + " where the external ID changes as often as that"]);
    }
    if (given("Expires") !== "" && !(Date.parse(given("Expires")) > Date.now())) out.push(["Expires", "must be a time to come"]);
    if (given("Permissions").split(",").length > 9) out.push(["Permissions", "are 9 at the most"]);
    return out;
  };

  const link = () => {
    const region = given("region");
    const template = "https://" + rules.bucket + "-" + region + ".s3." + region + ".amazonaws.com/" + rules.prefix + chosen().value;
    let out = "https://" + region + ".console.aws.amazon.com/cloudformation/home?region=" + region + "#/stacks/create/review" +
      "?templateURL=" + encodeURIComponent(template) + "&stackName=" + encodeURIComponent(given("stack"));
    for (const field of fields) {
      const value = field.value.trim();
      if (!field.disabled && value !== "" && value !== field.dataset.default) out += "&param_" + field.id + "=" + encodeURIComponent(value);
    }
    return out;
  };

  const show = () => {
    for (const id of Object.keys(own)) {
      const field = at(id), fixed = chosen().dataset[id === "ProviderName" ? "name" : "account"];
      if (!field.disabled) own[id] = field.value;
      field.disabled = fixed !== "";
      field.value = fixed !== "" ? fixed : own[id];
    }
    const problems = [];
    if (!/^[A-Za-z][A-Za-z0-9-]{0,127}$/.test(given("stack"))) problems.push(["stack", "must be a letter, then letters, digits and hyphens"]);
    for (const field of fields) {
      const why = wrong(field);
      if (why !== "") problems.push([field.id, why]);
    }
    problems.push(...wrongTogether());
    const list = at("problems");
    list.replaceChildren(...problems.map(([id, why]) => {
      const item = document.createElement("li");
      item.textContent = title(at(id)) + " " + why + ".";
      return item;
    }));
    for (const field of [at("stack"), ...fields]) field.setAttribute("aria-invalid", String(problems.some(([id]) => id === field.id)));
    list.hidden = problems.length === 0;
    at("result").hidden = problems.length > 0;
    at("text").value = problems.length > 0 ? "" : link();
    at("link").href = problems.length > 0 ? "https://console.aws.amazon.com/" : link();
  };

  form.addEventListener("input", show);
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.reset(); // what a browser kept from an earlier visit
  show();
})();

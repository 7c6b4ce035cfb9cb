// The provider's own pages: a person signs in, and allows what the relying party asks for. Plain forms, no script.

import { read } from '../control.mjs';
import { PASSWORD, personNamed } from '../people.mjs';

export const escape = (text) => String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

const page = (title, body) => `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(title)}</title><h1>${escape(title)}</h1>${body}</html>`;

export function answer(res, status, title, body) {
  res.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  res.end(page(title, body));
}

export function errorPage(ctx, { error, error_description: description }) {
  ctx.type = 'html';
  ctx.body = page('The provider refuses', `<p>${escape(error)}: ${escape(description ?? '')}`);
}

/** The pages below `/interaction/`. */
export class Interactions {
  /** `subject` gives the id of a person's account; `disabled` has the names of those whose account is switched off. */
  constructor(provider, subject, disabled) {
    this.provider = provider;
    this.subject = subject;
    this.disabled = disabled;
  }

  async handle(req, res) {
    try {
      const details = await this.provider.interactionDetails(req, res);
      return await (req.method === 'POST' ? this.#submitted(req, res, details) : this.#shown(res, details));
    } catch (error) {
      return answer(res, 400, 'The provider refuses', `<p>${escape(error.message)}`);
    }
  }

  #shown(res, { prompt, params }, problem = '') {
    const cancel = '<button name="cancel" value="yes" formnovalidate>Cancel</button>';
    if (prompt.name === 'login') {
      return answer(res, problem ? 403 : 200, 'Sign in at the company', `<p role="alert">${escape(problem)}<form method="post">
<p><label>Account <input name="username" autocomplete="username" required value="${escape(params.login_hint ?? '')}"></label>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<p><button>Sign in</button> ${cancel}</form>`);
    }
    return answer(res, 200, 'Allow the application?', `<p>It asks for: ${escape(params.scope)}<form method="post"><input type="hidden" name="allow" value="yes">
<p><button>Continue</button> ${cancel}</form>`);
  }

  async #submitted(req, res, details) {
    const form = new URLSearchParams(await read(req));
    if (form.get('cancel')) return this.#finish(req, res, { error: 'access_denied', error_description: 'the person pressed Cancel' });
    if (details.prompt.name === 'consent') return this.#finish(req, res, { consent: { grantId: await this.#grant(details) } });
    const person = personNamed(form.get('username'));
    if (!person || form.get('password') !== PASSWORD) return this.#shown(res, details, 'Wrong account or password.');
    if (this.disabled.has(person.name)) return this.#shown(res, details, 'This account is disabled.');
    return this.#finish(req, res, { login: { accountId: this.subject(person) } });
  }

  async #grant({ grantId, session, params }) {
    const { Grant } = this.provider;
    const grant = (grantId && await Grant.find(grantId)) || new Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    return grant.save();
  }

  #finish(req, res, result) {
    return this.provider.interactionFinished(req, res, result, { mergeWithLastSubmission: true });
  }
}

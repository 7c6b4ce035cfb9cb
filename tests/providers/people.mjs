// The people of the company: the same at each provider, as far as it can say this much of a person.

/** The password of everybody. */
export const PASSWORD = 'provider password';

/** The company's tenant at a provider with tenants, and that of another company. */
export const TENANTS = { company: '4a1dc3f0-7c1b-4c0a-9d7e-0f3a51d2a001', other: '4a1dc3f0-7c1b-4c0a-9d7e-0f3a51d2a002' };

/** So many groups that Entra leaves them out of a token. */
const MANY_GROUPS = Array.from({ length: 201 }, (_, index) => `group-${index}`);

/**
 * `name` signs in; `id` never changes; `domain` is that of the e-mail address and of the hosted domain; `verified` says whether the
 * provider checked the address; `organizations` and `teams` (`ORGANIZATION/TEAM`) are those at GitHub.
 */
export const PEOPLE = [
  person('ana', { groups: ['engineering', 'everybody'], organizations: ['example-company'], teams: ['example-company/platform'] }),
  person('ben', { groups: ['sales', 'everybody'], organizations: ['example-company'] }),
  // A stranger: another company, an address that nobody checked.
  person('eve', { domain: 'elsewhere.example', verified: false, tenant: TENANTS.other, organizations: ['elsewhere'] }),
  // An address of the company that nobody checked: what a stranger writes into their own account.
  person('mia', { verified: false, tenant: TENANTS.other }),
  person('max', { groups: MANY_GROUPS, organizations: Array.from({ length: 45 }, (_, index) => `club-${index}`).concat('example-company') }),
];

function person(name, more = {}) {
  const { domain = 'company.example', verified = true, tenant = TENANTS.company, groups = [], organizations = [], teams = [] } = more;
  const index = [...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7);
  return {
    name,
    id: String(index),
    uuid: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
    label: `${name[0].toUpperCase()}${name.slice(1)} Example`,
    email: `${name}@${domain}`,
    domain,
    verified,
    tenant,
    groups,
    organizations,
    teams,
  };
}

export const personNamed = (name) => PEOPLE.find((one) => one.name === name);

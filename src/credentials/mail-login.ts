/** Just enough to tell one from a login; whether there is such an address, the backend knows. */
export function isMailAddress(login: string): boolean {
  return login.length <= 254 && /^[^\s@]+@[^\s@]+$/u.test(login) && isPlausibleLogin(login);
}

/** Directories overlook control and invisible characters when they compare; none belongs into a login. */
export function isPlausibleLogin(login: string): boolean {
  return login !== '' && login.length <= 256 && !/[\p{C}\p{Zl}\p{Zp}]/u.test(login);
}

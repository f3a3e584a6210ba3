// Long: a thousand connections, one login each.
import { loginsComeHome } from './logins-behind-haproxy.js';

loginsComeHome(1_000);

import { element, numberOf, say } from './dom.js';
import { texts } from './texts.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 300;
const HEIGHT = 40;

/** A small chart: its last and its largest value in words beside it. */
export class Spark {
  #path = document.createElementNS(SVG, 'path');
  #words = element('span', { class: 'soft' });

  constructor(place, name) {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('aria-hidden', 'true');
    svg.append(this.#path);
    place.append(element('div', { class: 'spark' }, element('div', {}, name, ' ', this.#words), svg));
  }

  show(values) {
    const most = Math.max(...values, 0);
    const now = values.at(-1) ?? 0;
    this.#words.textContent = say(texts.operator.courseNow, { now: numberOf(now), most: numberOf(most) });
    const x = (i) => (values.length < 2 ? 0 : (i * WIDTH) / (values.length - 1));
    const y = (value) => HEIGHT - 2 - (most === 0 ? 0 : (value / most) * (HEIGHT - 4));
    const points = values.map((value, i) => `${x(i).toFixed(1)} ${y(value).toFixed(1)}`);
    this.#path.setAttribute('d', points.length === 0 ? '' : `M${points.join('L')}`);
  }
}

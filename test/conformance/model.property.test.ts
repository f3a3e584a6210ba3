import { holdsForModel } from './model-property.js';

holdsForModel(10);

// Long: many sequences at random. MODEL_RUNS says how many.
import { holdsForModel } from './model-property.js';

holdsForModel(Number(process.env.MODEL_RUNS ?? 40));

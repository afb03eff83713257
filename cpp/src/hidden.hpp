// How far what is hidden lies below the membrane: a small network, learned from simulated loads.
#pragma once

namespace volest {

constexpr int kHiddenFeatures = 15;
constexpr int kHiddenUnits1 = 24, kHiddenUnits2 = 12;
// Mean and scale of each feature, then weights (row-major, a row a unit) and biases of the three layers.
constexpr int kHiddenWeights = 2 * kHiddenFeatures + kHiddenUnits1 * (kHiddenFeatures + 1) +
                               kHiddenUnits2 * (kHiddenUnits1 + 1) + kHiddenUnits2 + 1;

}  // namespace volest

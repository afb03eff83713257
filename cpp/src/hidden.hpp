// How far what is hidden lies below the membrane: a small network, learned from simulated loads.
#pragma once

#include "surface.hpp"

namespace volest {

constexpr int kHiddenFeatures = 15;
constexpr int kHiddenUnits1 = 24, kHiddenUnits2 = 12;
// Mean and scale of each feature, then weights (row-major, a row a unit) and biases of the three layers.
constexpr int kHiddenWeights = 2 * kHiddenFeatures + kHiddenUnits1 * (kHiddenFeatures + 1) +
                               kHiddenUnits2 * (kHiddenUnits1 + 1) + kHiddenUnits2 + 1;

// What a cell without returns shows of itself; lengths in metres at the scale of a truck bed.
void hidden_features(const Bed &bed, const HeightMap &map, double roughness, double hidden_fraction, int ix,
                     int iy, float features[kHiddenFeatures]) noexcept;

// Lowers the cells without returns by what the network expects, not below the empty bed. `weights` holds
// kHiddenWeights numbers.
void lower_hidden(const Bed &bed, const float *weights, double roughness, HeightMap &map) noexcept;

// Part of the bed's cells that have no returns of their own.
double unseen_fraction(const Bed &bed, const HeightMap &map) noexcept;

}  // namespace volest

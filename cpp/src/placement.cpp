#include "placement.hpp"

#include <limits>

namespace volest {
namespace {

// A pose is believed with at least or at most so much of each; one that is not the told one must be surer.
constexpr double kLeastEvidence = 0.2, kSureEvidence = 0.5;  // part of the outline that is found
constexpr double kSureAgreement = 0.5;  // part of the returns about each wall that lie on it, on average
constexpr double kLeastTops = 0.3, kSureTops = 0.4;  // of the returns about the wall tops; walls hold no height
constexpr double kMostBeside = 0.1,
                 kSureBeside = 0.03;     // points beside the bed for each over it: what hangs over
constexpr double kMostThrough = 0.0015;  // points behind walls for each point over the bed: mixed returns
constexpr double kFew = 10.0, kFewThrough = 8.0;
constexpr double kMovedSigmas = 5.0, kLeastStd = 0.005;  // and m or rad, that any pose is thought to be off
constexpr double kVague = 0.02;  // m; a told pose that may be more off is begun with in several places

constexpr double kLift = 0.15;  // m; how much higher and lower a sensor is looked for that was found as told
constexpr double kPlainTops = 0.75, kMuchAbove = 0.5;  // tops found so well, faces that end at them, are right
constexpr double kMuchBetter =
    12.0;  // by score: told heights of sound scans are worse by up to 12, of knocked sensors by 10 to 50
constexpr double kWideTranslation = 0.3, kWideRotation = 0.12;  // how far it may have been knocked; m, rad
constexpr double kKnockedTranslation = 0.01, kKnockedRotation = 0.004;  // how well it is found then
constexpr double kKnocks = 0.25;                                        // m between where it is looked for
constexpr double kReferenceTranslation = 0.01, kReferenceRotation = 0.005;

constexpr int kTilts = 5, kRaises = 3;

RegistrationPrior evenly(double translation, double rotation) {
  return {{translation, translation, translation}, {rotation, rotation, rotation}};
}

// A pose that was tried.
struct Trial {
  Registration found;
  PassCounts counts;

  // Whether too many points lie where none can be.
  bool overflows(double most_beside) const {
    const auto inside = static_cast<double>(counts.inside);
    return static_cast<double>(counts.through) > kFewThrough + kMostThrough * inside ||
           static_cast<double>(counts.beside) > kFew + most_beside * inside;
  }
  // Whether the scan could have been taken of a bed that lies there.
  bool is_sound() const {
    return found.evidence >= kLeastEvidence && found.tops >= kLeastTops && !overflows(kMostBeside);
  }
  // What is asked of a pose that nobody told.
  bool is_sure() const {
    return found.evidence >= kSureEvidence && found.agreement >= kSureAgreement && found.tops >= kSureTops &&
           !overflows(kSureBeside);
  }
  // Why the bed is nowhere near.
  Misfit misfit() const {
    const auto inside = static_cast<double>(counts.inside);
    if (inside <= kFew) return Misfit::kNoReturns;
    if (static_cast<double>(counts.beside) > kFew + kMostBeside * inside) return Misfit::kBeside;
    if (static_cast<double>(counts.through) > kFewThrough + kMostThrough * inside) return Misfit::kThrough;
    return found.tops < kLeastTops ? Misfit::kTops : Misfit::kNoWalls;
  }
};

class Placer {
 public:
  // Without a cloud, over what the engine keeps of its parts.
  Placer(Engine &engine, const Cloud *cloud, const SensorPrior &prior) noexcept
      : engine_(engine), cloud_(cloud), prior_(prior), scale_(engine.bed().scale) {}

  Placing run(bool find) noexcept {
    const Trial told = find ? likeliest() : as_told();
    // Walls look alike from any height; of a vague pose other heights were tried.
    const bool lifted = find && !is_vague() && (told.found.above > kMuchAbove || told.found.tops < kPlainTops);
    if (!told.is_sound()) {
      engine_.drop();
      if (cloud_ == nullptr) return {told.misfit(), 0, placement_of(told, false, true)};
      Trial elsewhere;
      return find_knocked(-std::numeric_limits<double>::infinity(), elsewhere) ? knocked(elsewhere)
                                                                               : misfit(told);
    }
    // Farther from where it is told than that leaves open.
    const bool strays = told.found.deviation(prior_.std, kLeastStd) > kMovedSigmas;
    if ((lifted || strays) && cloud_ != nullptr) {
      const double better = told.found.score + kMuchBetter;
      const bool is_better = lifted && is_lifted(better);
      Trial elsewhere;
      if ((is_better || strays) && find_knocked(better, elsewhere)) return knocked(elsewhere);
      if (is_better) return misfit(told);
      engine_.pass(*cloud_, told.found.pose, prior_.rays);
    }
    return kept(told, strays, (lifted || strays) && cloud_ == nullptr);
  }

 private:
  bool is_vague() const { return prior_.std_m > kVague * scale_; }

  Trial as_told() noexcept {
    const Registration found = Engine::told(prior_.pose, prior_.std);
    if (cloud_ == nullptr) return {found, engine_.pass_found(found, prior_.rays)};
    return {found, engine_.pass(*cloud_, found.pose, prior_.rays)};
  }

  Trial tried(const Pose &pose, const RegistrationPrior &std, double reach, const double *starts,
              int count) noexcept {
    const Registration found = cloud_ == nullptr
                                   ? engine_.find_sifted(pose, std, prior_.rays, reach, starts, count)
                                   : engine_.find_bed(*cloud_, pose, std, prior_.rays, reach, starts, count);
    return {found, engine_.pass_found(found, prior_.rays)};
  }

  // The most probable pose about the told one: from there, or with the bed raised, lowered and tilted about its
  // middle.
  Trial likeliest() noexcept {
    if (!is_vague()) return tried(prior_.pose, prior_.std, prior_.reach(engine_.bed()), nullptr, 1);
    const double *turn_std = prior_.std.std_rotation;
    const Vec3 turns[kTilts] = {{0.0, 0.0, 0.0},
                                {1.5 * turn_std[0], 0.0, 0.0},
                                {-1.5 * turn_std[0], 0.0, 0.0},
                                {0.0, 1.5 * turn_std[1], 0.0},
                                {0.0, -1.5 * turn_std[1], 0.0}};
    const double raises[kRaises] = {0.0, 1.5 * prior_.std_m, -1.5 * prior_.std_m};
    const Vec3 arm = Vec3{0.0, 0.0, engine_.bed().rim[0] / 2.0} - prior_.pose.t;
    double starts[kTilts * kRaises][6];
    for (int t = 0; t < kTilts; ++t)
      for (int r = 0; r < kRaises; ++r) {
        const Vec3 shift = cross(arm, turns[t]);
        const double start[6] = {shift.x, shift.y, shift.z + raises[r], turns[t].x, turns[t].y, turns[t].z};
        std::memcpy(starts[kRaises * t + r], start, sizeof start);
      }
    return tried(prior_.pose, prior_.std, prior_.reach(engine_.bed()), starts[0], kTilts * kRaises);
  }

  // Whether the bed is surely within reach of a pose that nobody told.
  bool search(const Pose &pose, Trial &out) noexcept {
    out = tried(pose, evenly(kWideTranslation * scale_, kWideRotation * scale_),
                SensorPrior::kLargestReach * scale_, nullptr, 1);
    engine_.drop();
    return out.is_sure();
  }

  Pose moved(double x, double y, double z) const {
    Pose pose = prior_.pose;
    pose.t = pose.t + Vec3{x * scale_, y * scale_, z * scale_};
    return pose;
  }

  // Whether the bed is found so much better with the sensor lower or higher.
  bool is_lifted(double least_score) noexcept {
    bool better = false;
    for (const double dz : {-kLift, kLift}) {
      Trial trial;
      better |= search(moved(0.0, 0.0, dz), trial) && trial.found.score >= least_score;
    }
    return better;
  }

  // The best pose of a sensor that was knocked: as told, then nearer or farther, to each side.
  bool find_knocked(double least_score, Trial &best) noexcept {
    constexpr double kSides[][2] = {
        {0.0, 0.0}, {kKnocks, 0.0}, {-kKnocks, 0.0}, {0.0, kKnocks}, {0.0, -kKnocks}};
    bool is_found = false;
    for (const double dz : {0.0, -kKnocks, kKnocks})
      for (const auto &side : kSides) {
        Trial trial;
        if (!search(moved(side[0], side[1], dz), trial) || trial.found.score < least_score) continue;
        if (!is_found || trial.found.score > best.found.score) best = trial;
        is_found = true;
      }
    return is_found;
  }

  Placement placement_of(const Trial &trial, bool moved, bool unsearched) const {
    return {trial.found, trial.counts, prior_.rays, moved, unsearched};
  }

  Placing kept(const Trial &trial, bool moved, bool unsearched) noexcept {
    engine_.keep();
    return {Misfit::kNone, 0, placement_of(trial, moved, unsearched)};
  }

  Placing knocked(Trial &trial) noexcept {
    engine_.pass(*cloud_, trial.found.pose, prior_.rays);
    for (int i = 0; i < 6; ++i) {
      const double doubt = i < 3 ? kKnockedTranslation : kKnockedRotation;
      trial.found.covariance[7 * i] += doubt * doubt;
    }
    return kept(trial, true, false);
  }

  // Why the bed is nowhere near: another unit, a sensor turned over, or another truck.
  Placing misfit(const Trial &told) noexcept {
    const Placement placement = placement_of(told, false, false);
    Trial trial;
    int unit = 0;
    for (const double metres : kUnits) {
      if (search(scaled(metres, metres, metres), trial)) return {Misfit::kUnit, unit, placement};
      ++unit;
    }
    for (const auto &flip : kFlips)
      if (search(scaled(flip[0], flip[1], flip[2]), trial)) return {Misfit::kUpsideDown, 0, placement};
    const Misfit why = told.misfit();
    return {why != Misfit::kBeside && is_covered() ? Misfit::kCovered : why, 0, placement};
  }

  bool is_covered() noexcept {
    engine_.clear();
    engine_.add(*cloud_, prior_.pose, prior_.rays);
    engine_.finish({0.0, 0.0});
    return engine_.cover() == Cover::kSure;
  }

  // The told pose of points whose coordinates were multiplied with these.
  Pose scaled(double x, double y, double z) const {
    Pose pose = prior_.pose;
    for (int i = 0; i < 3; ++i) {
      pose.R[3 * i] *= x;
      pose.R[3 * i + 1] *= y;
      pose.R[3 * i + 2] *= z;
    }
    return pose;
  }

  Engine &engine_;
  const Cloud *cloud_;
  const SensorPrior &prior_;
  const double scale_;
};

}  // namespace

SensorPrior SensorPrior::told(const Pose &pose, const RegistrationPrior &std, bool rays) noexcept {
  constexpr double kLever = 3.0;  // m from the sensor to the bed: what an error of attitude is multiplied with
  const double off = std.std_translation[0], turned = kLever * std.std_rotation[0];
  SensorPrior prior{pose, std, std::sqrt(off * off + turned * turned), rays};
  for (double *axes : {prior.std.std_translation, prior.std.std_rotation})
    for (int i = 0; i < 3; ++i) axes[i] *= std::sqrt(2.0);
  return prior;
}

Placing place(Engine &engine, const Cloud &cloud, const SensorPrior &prior, bool find) noexcept {
  return Placer(engine, &cloud, prior).run(find);
}

void begin_scan(Engine &engine, const SensorPrior &prior, bool find) noexcept {
  engine.begin_scan(prior.pose, find ? prior.reach(engine.bed()) : 0.0);
}

Placing place_parts(Engine &engine, const SensorPrior &prior, bool find) noexcept {
  return Placer(engine, nullptr, prior).run(find);
}

Placing check_reference(Engine &engine, const Cloud &cloud, const Pose &pose, bool rays) noexcept {
  const RegistrationPrior std = evenly(kReferenceTranslation, kReferenceRotation);
  const double reach = SensorPrior::kLeastReach * engine.bed().scale;
  const Registration found = engine.find_bed(cloud, pose, std, rays, reach);
  const Trial trial{found, engine.pass_found(found, rays)};
  engine.drop();
  return {
      trial.is_sound() ? Misfit::kNone : trial.misfit(), 0, {trial.found, trial.counts, rays, false, false}};
}

}  // namespace volest

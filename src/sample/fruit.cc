// A fruit is an implicit surface in its own coordinates: y along its axis, the stem at the top, the
// longest half-length 1. One ray a pixel runs parallel to the view (orthographic) until it hits.
//
// Only +, -, *, /, sqrt and integers are used: IEEE 754 rounds these the same way everywhere,
// which it does not demand of sin, exp or pow.
#include "fruit.h"

#include <algorithm>
#include <cmath>

namespace pomona {
namespace {

struct Vec3 {
  double x, y, z;
};

Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
Vec3 operator*(double s, Vec3 a) { return {s * a.x, s * a.y, s * a.z}; }
double Dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
double Length(Vec3 a) { return std::sqrt(Dot(a, a)); }
Vec3 Normalize(Vec3 a) { return (1 / Length(a)) * a; }
Vec3 Mix(Vec3 a, Vec3 b, double t) { return a + t * (b - a); }
double Clamp01(double x) { return std::clamp(x, 0.0, 1.0); }

using Color = Vec3;  // red, green, blue from 0 to 1

constexpr Color Rgb(int hex) {
  return {(hex >> 16) / 255.0, (hex >> 8 & 255) / 255.0, (hex & 255) / 255.0};
}

struct Shape {
  double length;               // half of it, along the axis
  double width, taper, waist;  // half-width at v: width + taper * v + waist * v^2, v from -1 to 1
  double square;               // 0: an ellipse's ends; 1: blunter
  double dimple;               // depth of the hollow around the stem
  double bend;                 // how far the ends bend aside
  double stem;                 // twice the length of what stands out
};

struct Skin {
  Color base;
  Color patch;         // a second colour, where noise and gradient lift it above zero
  double patch_share;  // from -1, nowhere, to 1, everywhere
  double gradient;     // how much more of it towards the stem
  double mottle;       // how much the brightness wavers
  double cells;        // seeds, pores, speckles or drupelets for each unit of length
  double speckle;      // radius of the coloured centre of a cell, in cells
  Color speckle_color;
  double bump;  // cells bulge out (> 0) or in (< 0)
  double gloss;
};

struct Fruit {
  std::string_view label;
  Shape shape;
  Skin skin;
};

// clang-format off
constexpr Fruit kTable[kFruits] = {
    {"Apple Braeburn",
     {.86, .94, .06, 0, .55, .22, 0, .28},
     {Rgb(0xa01822), Rgb(0xe0b04a), -.25, -.1, .25, 9, .10, Rgb(0xe8b070), 0, .5}},
    {"Apple Golden",
     {.90, .90, .08, 0, .50, .20, 0, .30},
     {Rgb(0xe0c850), Rgb(0xe8a850), -.45, .1, .12, 11, .11, Rgb(0xa08a40), 0, .4}},
    {"Apple Granny Smith",
     {.88, .90, .07, 0, .50, .20, 0, .22},
     {Rgb(0x7cb02c), Rgb(0xb8c860), -.30, .2, .12, 10, .11, Rgb(0xd8e0a0), 0, .6}},
    {"Apple Pink Lady",
     {.92, .86, .10, 0, .45, .20, 0, .25},
     {Rgb(0xd0485a), Rgb(0xc8c860), -.05, -.3, .20, 8, .09, Rgb(0xf0d0a0), 0, .5}},
    {"Banana",
     {1.0, .29, .00, -.10, .70, 0, .36, .16},
     {Rgb(0xe8c838), Rgb(0x90a030), -.75, .5, .15, 5, .10, Rgb(0x70501c), 0, .2}},
    {"Kiwi",
     {.98, .80, .00, 0, .25, 0, 0, .05},
     {Rgb(0x8a6c3c), Rgb(0x6c6430), -.10, 0, .35, 17, .18, Rgb(0xb89868), .4, .05}},
    {"Lemon",
     {1.0, .74, .02, -.24, .05, 0, 0, .04},
     {Rgb(0xf0d020), Rgb(0xc8c830), -.55, .1, .10, 17, 0, Rgb(0xffffff), -.35, .45}},
    {"Orange",
     {.95, .96, .00, 0, .10, .05, 0, .03},
     {Rgb(0xf08a10), Rgb(0xf0a030), -.20, 0, .08, 20, 0, Rgb(0xffffff), -.4, .45}},
    {"Pear",
     {.98, .58, -.25, .02, .35, 0, 0, .22},
     {Rgb(0xc4c44c), Rgb(0xb8783c), -.40, -.2, .20, 13, .14, Rgb(0x806828), 0, .25}},
    {"Plum",
     {.98, .86, .02, 0, .15, .10, 0, .12},
     {Rgb(0x4a2048), Rgb(0x7a80a8), -.20, 0, .30, 12, .07, Rgb(0xa08090), 0, .35}},
    {"Raspberry",
     {.94, .80, .14, 0, .30, .12, 0, .05},
     {Rgb(0xb81c38), Rgb(0xd85068), -.30, 0, .15, 4.6, .05, Rgb(0xe0b080), 1.7, .5}},
    {"Strawberry",
     {.96, .72, .24, 0, .25, .12, 0, .18},
     {Rgb(0xd01c20), Rgb(0xe8c0a0), -.85, .5, .10, 6.5, .2, Rgb(0xe8c850), -.6, .5}},
};
// clang-format on

constexpr Color kStem = Rgb(0x6a5028);
constexpr double kStemRadius = 0.035;
constexpr int kPicturesPerTurn = 100;

uint64_t Scramble(uint64_t x) {
  x ^= x >> 31;
  x *= 0x9e3779b97f4a7c15;
  x ^= x >> 29;
  x *= 0xd1342543de82ef95;
  return x ^ x >> 32;
}

// Uniform numbers in [0, 1) from a hash and a count.
class Random {
 public:
  explicit Random(uint64_t seed) : seed_(seed) {}
  uint64_t Bits() { return Scramble(seed_ + 0x9e3779b97f4a7c15 * ++count_); }
  double Between(double low, double high) {
    return low + (high - low) * static_cast<double>(Bits() >> 11) * 0x1p-53;
  }

 private:
  uint64_t seed_;
  uint64_t count_ = 0;
};

uint64_t HashCell(int x, int y, int z, uint64_t seed) {
  return Scramble(seed + 0x8da6b343u * static_cast<uint64_t>(x + 4096) +
                  0xd8163841ull * 65536 * static_cast<uint64_t>(y + 4096) +
                  0xcb1ab31full * 16777216 * static_cast<uint64_t>(z + 4096));
}

struct Lattice {
  int x, y, z;    // the cell's corner
  Vec3 fraction;  // the place in the cell
};

Lattice Locate(Vec3 p) {
  constexpr int kShift = 1024;  // to where rounding to zero is rounding down
  const int x = static_cast<int>(p.x + kShift) - kShift;
  const int y = static_cast<int>(p.y + kShift) - kShift;
  const int z = static_cast<int>(p.z + kShift) - kShift;
  return {x, y, z, {p.x - x, p.y - y, p.z - z}};
}

// Smooth value noise from -1 to 1.
double Noise(Vec3 p, uint64_t seed) {
  const auto [x, y, z, f] = Locate(p);
  // Clang captures structured bindings from version 16 on.
  const auto value = [&, x = x, y = y, z = z](int dx, int dy, int dz) {
    return static_cast<double>(HashCell(x + dx, y + dy, z + dz, seed) >> 40) * 0x1p-23 - 1;
  };
  const auto smooth = [](double t) { return t * t * (3 - 2 * t); };
  const auto mix = [](double a, double b, double t) { return a + t * (b - a); };
  const double u = smooth(f.x), v = smooth(f.y), w = smooth(f.z);
  return mix(mix(mix(value(0, 0, 0), value(1, 0, 0), u), mix(value(0, 1, 0), value(1, 1, 0), u), v),
             mix(mix(value(0, 0, 1), value(1, 0, 1), u), mix(value(0, 1, 1), value(1, 1, 1), u), v),
             w);
}

// From the nearest of the points strewn one to a cell. Only the eight cells around are searched,
// which the points' limited range makes good enough.
Vec3 FromNearestPoint(Vec3 p, uint64_t seed) {
  const auto [x, y, z, f] = Locate(p - Vec3{.5, .5, .5});
  Vec3 nearest = {};
  double nearest_square = 1e9;
  for (int corner = 0; corner < 8; ++corner) {
    const int dx = corner & 1, dy = corner >> 1 & 1, dz = corner >> 2;
    const uint64_t hash = HashCell(x + dx, y + dy, z + dz, seed);
    const auto jitter = [&](int shift) {
      return (static_cast<double>(hash >> shift & 1023) / 1023 - .5) * .6;
    };
    const Vec3 from = f - Vec3{dx + jitter(10), dy + jitter(24), dz + jitter(38)};
    if (const double square = Dot(from, from); square < nearest_square) {
      nearest_square = square;
      nearest = from;
    }
  }
  return nearest;
}

struct Turn {
  double cos, sin;
};

// A turn by about `part` of a circle: runs along a square standing on its corner, which needs no
// trigonometry, and is exact at the quarters.
Turn TurnBy(double part) {
  const double q = 4 * (part - std::floor(part));
  const double x = q < 2 ? 1 - q : q - 3;
  const double y = q < 1 ? q : q < 3 ? 2 - q : q - 4;
  const double length = std::sqrt(x * x + y * y);
  return {x / length, y / length};
}

// One fruit of its kind as it lies in one picture.
class Specimen {
 public:
  Specimen(int fruit, int64_t number) : skin_(kTable[fruit].skin), shape_(kTable[fruit].shape) {
    const int64_t individual = number / kPicturesPerTurn;
    Random random(Scramble(static_cast<uint64_t>(individual) * kFruits + fruit));
    seed_ = random.Bits();
    size_ = random.Between(.92, 1);
    shape_.length *= random.Between(.94, 1);
    shape_.width *= random.Between(.95, 1.03);
    shape_.taper += random.Between(-.03, .03);
    shape_.bend *= random.Between(.7, 1.2);
    skin_.patch_share += random.Between(-.2, .2);
    tint_ = {random.Between(.92, 1.04), random.Between(.92, 1.04), random.Between(.9, 1.05)};
    stem_lean_ = random.Between(-.08, .08);

    // Every other fruit turns upright about its axis, the others tumble.
    const double turned =
        random.Between(0, 1) + static_cast<double>(number % kPicturesPerTurn) / kPicturesPerTurn;
    const bool upright = individual % 2 == 0;
    roll_ = TurnBy(random.Between(-.03, .03));
    tilt_ = TurnBy(upright ? random.Between(.0, .09) : turned);
    spin_ = TurnBy(upright ? turned : random.Between(0, 1));
    if (shape_.bend > 0) {  // lies on its side and turns in the plane of the picture
      roll_ = TurnBy(turned);
      tilt_ = TurnBy(random.Between(-.04, .04));
      spin_ = TurnBy(random.Between(-.06, .06));
    }
    per_length_ = 1 / shape_.length;
    step_ = .42 / std::max(shape_.width, .5);
    foot_ = shape_.length * (1 - .9 * shape_.dimple);
    stem_height_ = shape_.length + .5 * shape_.stem - foot_;
    per_stem_height_ = 1 / stem_height_;
  }

  // x and y from -1 to 1 across the picture. Whether the ray there hits, and the colour.
  bool Trace(double x, double y, Color* color) const {
    x /= size_;
    y /= size_;
    const double chord_square = kReach * kReach - x * x - y * y;
    if (chord_square <= 0) return false;
    const double chord = std::sqrt(chord_square);  // half of the way through the bounding sphere
    const Vec3 start = ToFruit({x, y, chord});
    const Vec3 direction = ToFruit({0, 0, -1});
    for (double depth = 0; depth < 2 * chord;) {
      const Vec3 at = start + depth * direction;
      const Distance distance = DistanceFrom(at);
      if (distance.value < kNear) {
        *color = Shade(at, distance.is_stem);
        return true;
      }
      depth += std::max(distance.value, kSmallestStep);  // no creeping along a silhouette
    }
    return false;
  }

 private:
  static constexpr double kReach = 1.12;
  static constexpr double kNear = 0.003;
  static constexpr double kSmallestStep = 0.03;

  struct Distance {
    double value;
    bool is_stem;
  };

  // From the picture's coordinates to the fruit's.
  Vec3 ToFruit(Vec3 p) const {
    p = {roll_.cos * p.x + roll_.sin * p.y, roll_.cos * p.y - roll_.sin * p.x, p.z};
    p = {p.x, tilt_.cos * p.y + tilt_.sin * p.z, tilt_.cos * p.z - tilt_.sin * p.y};
    return {spin_.cos * p.x + spin_.sin * p.z, p.y, spin_.cos * p.z - spin_.sin * p.x};
  }

  Vec3 ToPicture(Vec3 p) const {
    p = {spin_.cos * p.x - spin_.sin * p.z, p.y, spin_.cos * p.z + spin_.sin * p.x};
    p = {p.x, tilt_.cos * p.y - tilt_.sin * p.z, tilt_.cos * p.z + tilt_.sin * p.y};
    return {roll_.cos * p.x - roll_.sin * p.y, roll_.cos * p.y + roll_.sin * p.x, p.z};
  }

  // Negative inside; outside near the surface about half of the distance to it.
  double BodyAt(Vec3 p) const {
    double v = p.y * per_length_;
    const double x = p.x + shape_.bend * (v * v - .5);
    const double radius_square = x * x + p.z * p.z;
    // The hollow at the stem, and a shallower one opposite.
    const double hollow = std::max(0.0, 1 - radius_square * 3.3);
    v += shape_.dimple * hollow * hollow * (v > 0 ? v : .5 * v);
    const double width = shape_.width + shape_.taper * v + shape_.waist * v * v;
    const double ends = (1 - v * v) * (1 + shape_.square * v * v);
    return step_ * (radius_square - ends * width * width);
  }

  Distance DistanceFrom(Vec3 p) const {
    const double body = BodyAt(p);
    if (foot_ - p.y - kStemRadius > body) return {body, false};  // the stem is farther
    const double along = Clamp01((p.y - foot_) * per_stem_height_);
    const Vec3 axis = {stem_lean_ * along - .5 * shape_.bend, foot_ + along * stem_height_, 0};
    const double stem = Length(p - axis) - kStemRadius;
    return stem < body ? Distance{stem, true} : Distance{body, false};
  }

  Vec3 NormalAt(Vec3 p, bool is_stem) const {
    constexpr double kStep = 1e-3;
    const auto value = [&](Vec3 q) { return is_stem ? DistanceFrom(q).value : BodyAt(q); };
    const double here = value(p);
    return Normalize({value(p + Vec3{kStep, 0, 0}) - here, value(p + Vec3{0, kStep, 0}) - here,
                      value(p + Vec3{0, 0, kStep}) - here});
  }

  Color Shade(Vec3 p, bool is_stem) const {
    Vec3 normal = NormalAt(p, is_stem);
    Color color = kStem;
    if (!is_stem) {
      const Vec3 from_cell = FromNearestPoint(skin_.cells * p, seed_);
      normal = Normalize(normal + skin_.bump * from_cell);
      color = SkinAt(p, Length(from_cell));
    }
    normal = ToPicture(normal);
    static const Vec3 kLight = Normalize({-.5, .45, .9});
    static const Vec3 kHighlight = Normalize(kLight + Vec3{0, 0, 1});
    const double diffuse = .26 + .88 * std::max(0.0, Dot(normal, kLight));
    double shine = std::max(0.0, Dot(normal, kHighlight));
    for (int i = 0; i < 5; ++i) shine *= shine;
    return diffuse * color + (is_stem ? 0 : skin_.gloss * shine) * Color{1, 1, .95};
  }

  Color SkinAt(Vec3 p, double from_cell) const {
    const double v = p.y / shape_.length;
    const double broad = Noise(1.7 * p, seed_ + 1);
    const double fine = Noise(9 * p, seed_ + 2);
    const double patch = skin_.patch_share + skin_.gradient * v + .8 * broad + .15 * fine;
    Color color = Mix(skin_.base, skin_.patch, Clamp01(.2 + 1.6 * patch));
    color = (1 + skin_.mottle * (.6 * fine + .4 * broad)) * color;
    if (from_cell < skin_.speckle) color = Mix(color, skin_.speckle_color, .7);
    // The hollows and the blossom's end are darker.
    const double pole = std::max(0.0, 1 - (p.x * p.x + p.z * p.z) / .02);
    if (v < 0 && shape_.bend == 0) color = Mix(color, Rgb(0x40301c), .7 * pole);
    return {color.x * tint_.x, color.y * tint_.y, color.z * tint_.z};
  }

  Skin skin_;
  Shape shape_;
  uint64_t seed_;
  double size_;
  double per_length_;
  double step_;  // scales BodyAt()
  double foot_;  // where the stem begins on the axis
  double stem_height_;
  double per_stem_height_;
  double stem_lean_;
  Color tint_;
  Turn roll_, tilt_, spin_;
};

uint8_t ToByte(double value) { return static_cast<uint8_t>(Clamp01(value) * 255 + .5); }

}  // namespace

std::string_view FruitLabel(int fruit) { return kTable[fruit].label; }

void DrawFruit(int fruit, int64_t number, std::span<uint8_t> rgb) {
  const Specimen specimen(fruit, number);
  uint8_t* pixel = rgb.data();
  for (int row = 0; row < kFruitSize; ++row) {
    for (int column = 0; column < kFruitSize; ++column, pixel += 3) {
      const double x = (2 * column + 1 - kFruitSize) / static_cast<double>(kFruitSize);
      const double y = (kFruitSize - 1 - 2 * row) / static_cast<double>(kFruitSize);
      Color color = {1, 1, 1};
      specimen.Trace(x, y, &color);
      pixel[0] = ToByte(color.x);
      pixel[1] = ToByte(color.y);
      pixel[2] = ToByte(color.z);
    }
  }
}

}  // namespace pomona

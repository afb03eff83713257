// Four floats side by side, with NEON: what compilers take apart into lanes when they are left to themselves.
// To be included for arm64.
#pragma once

#include <arm_neon.h>

#include "simd_portable.hpp"

namespace volest {

// For each mask of four lanes, where the bytes of the lanes that are set come from.
struct NeonPackTable {
  alignas(16) std::uint8_t from[16][16];
};
constexpr NeonPackTable make_neon_pack_table() {
  NeonPackTable table{};
  for (unsigned m = 0; m < 16; ++m)
    for (unsigned byte = 0, n = 0; byte < 16; ++byte)
      if (m >> byte / 4 & 1) table.from[m][n++] = static_cast<std::uint8_t>(byte);
  return table;
}
inline constexpr NeonPackTable kNeonPack = make_neon_pack_table();

struct SimdNeon : SimdPortable {
  static F magnitude(F v) { return F(vabsq_f32(float32x4_t(v))); }
  static F where(M m, F yes, F no) { return F(vbslq_f32(uint32x4_t(m), float32x4_t(yes), float32x4_t(no))); }
  static I whole(F v) { return I(vcvtq_s32_f32(float32x4_t(v))); }
  static I floor(F v) { return I(vcvtmq_s32_f32(float32x4_t(v))); }
  static I whole_where(M m, F v) { return whole(v) & m; }
  static unsigned mask(M m) { return vaddvq_u32(uint32x4_t(U(m) & U{1, 2, 4, 8})); }
  static void pack(float *to, M m, F v) { vst1q_f32(to, float32x4_t(packed(m, uint8x16_t(v)))); }
  static void pack(std::int32_t *to, M m, I v) { vst1q_s32(to, int32x4_t(packed(m, uint8x16_t(v)))); }
  static void load3(const char *p, F &x, F &y, F &z) {
    const float32x4x3_t v = vld3q_f32(reinterpret_cast<const float *>(p));
    x = F(v.val[0]);
    y = F(v.val[1]);
    z = F(v.val[2]);
  }
  static void zip(std::uint32_t *to, U a, U b) {
    const uint32x4x2_t both = {{uint32x4_t(a), uint32x4_t(b)}};  // clang's vst2q_u32 is a macro
    vst2q_u32(to, both);
  }
  static U widened(const std::uint32_t *p) { return U(vmovl_u16(vreinterpret_u16_u32(vld1_u32(p)))); }

 private:
  static uint8x16_t packed(M m, uint8x16_t v) { return vqtbl1q_u8(v, vld1q_u8(kNeonPack.from[mask(m)])); }
};

}  // namespace volest

#include "jpeg_picture.h"

#include <algorithm>

#include "libjpeg.h"

namespace pomona {
namespace {

bool PrepareComponent(const jpeg_decompress_struct& cinfo, int index, JpegComponent* component) {
  const int number = cinfo.comp_info[index].quant_tbl_no;
  if (number < 0 || number >= NUM_QUANT_TBLS) return false;
  const JQUANT_TBL* table = cinfo.quant_tbl_ptrs[number];
  if (table == nullptr) return false;
  for (int k = 0; k < kBlockSize; ++k) {
    const int place = kZigzag[k];
    const int step = table->quantval[place];
    if (step < 1 || step > 255) return false;
    component->quantization[place] = static_cast<int16_t>(step);
    component->limits[k] = static_cast<uint16_t>(kMaxCoefficient / step);
  }
  return true;
}

bool IsPlain(const jpeg_decompress_struct& cinfo) {
  if (cinfo.arith_code || cinfo.data_precision != 8 || IsLossless(cinfo)) return false;
  if (cinfo.num_components == 1) return cinfo.jpeg_color_space == JCS_GRAYSCALE;
  if (cinfo.num_components != 3 || cinfo.jpeg_color_space != JCS_YCbCr) return false;
  for (int i = 0; i < 3; ++i) {
    const jpeg_component_info& info = cinfo.comp_info[i];
    const int most = i == 0 ? 2 : 1;
    if (info.h_samp_factor > most || info.v_samp_factor > most) return false;
  }
  // libjpeg does not smooth chroma that is so narrow.
  constexpr int kMinSmoothWidth = 3;
  return cinfo.comp_info[0].h_samp_factor == 1 ||
         cinfo.comp_info[1].downsampled_width >= kMinSmoothWidth;
}

}  // namespace

bool JpegPicture::Prepare(const jpeg_decompress_struct& cinfo) {
  if (!IsPlain(cinfo)) return false;
  width = static_cast<int>(cinfo.image_width);
  height = static_cast<int>(cinfo.image_height);
  component_count = cinfo.num_components;
  for (JpegComponent& component : components) component.h = component.v = 1;
  if (component_count > 1) {  // else the factors mean nothing
    components[0].h = cinfo.comp_info[0].h_samp_factor;
    components[0].v = cinfo.comp_info[0].v_samp_factor;
  }
  const int h = components[0].h;
  const int v = components[0].v;
  chroma_width = (width + h - 1) / h;
  chroma_height = (height + v - 1) / v;
  mcus_per_row = (width + 8 * h - 1) / (8 * h);
  mcu_rows = (height + 8 * v - 1) / (8 * v);
  for (int i = 0; i < component_count; ++i) {
    if (!PrepareComponent(cinfo, i, &components[i])) return false;
  }
  return true;
}

uint8_t* JpegPicture::TakeMemory(Buffer* memory, size_t more) {
  const auto mcus = static_cast<size_t>((mcus_per_row + kBatchMcus - 1) / kBatchMcus * kBatchMcus);
  const size_t sums_bytes = 2 * (mcus * 8 + 2 * kRowPadding);
  size_t bytes = kRowPadding + 2 * sums_bytes + more;
  for (JpegComponent& component : Components()) {
    component.stride = mcus * 8 * static_cast<size_t>(component.h) + kRowPadding;
    bytes += component.Rows() * component.stride;
  }
  uint8_t* free = memory->Reserve(bytes);
  free += -reinterpret_cast<uintptr_t>(free) % kRowPadding;
  for (JpegComponent& component : Components()) {
    component.plane = free;
    free += component.Rows() * component.stride;
  }
  for (uint16_t*& row : sums) {
    row = reinterpret_cast<uint16_t*>(free + kRowPadding);  // one is written before the first
    free += sums_bytes;
  }
  return free;
}

}  // namespace pomona

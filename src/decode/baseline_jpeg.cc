// A row of MCUs at a time: entropy decoding and the inverse DCT alternate every few MCUs, so that
// coefficients stay in the first cache; then as many rows of pixels are made as have their chroma.
#include "baseline_jpeg.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <tuple>

#include "baseline_scan.h"
#include "jpeg_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "decode/baseline_jpeg.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "jpeg_bits-inl.h"
#include "jpeg_pixels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pomona {
namespace HWY_NAMESPACE {
#if HWY_TARGET == HWY_SCALAR

// Vectors of one lane gain nothing over libjpeg.
bool DecodeScan(BaselineScan*, Band*) { return false; }

#else
static_assert(kBatchMcus % kGroup == 0);

// What comes next where HuffmanTable::Look() does not know. k: the coefficient that comes next.
HuffmanTable::Symbol FindCoefficient(const BaselineComponent& component, HuffmanTable::Symbol ac,
                                     uint64_t bits, unsigned k) {
  ac = component.ac_table->Find(ac, bits);
  const unsigned at = k + HuffmanTable::Skip(ac);
  if (at < kBlockSize && !component.samples->IsTame(HuffmanTable::Value(ac), at)) {
    return HuffmanTable::kInvalidSymbol;
  }
  return ac;
}

// False where anything is unusual. Leaves at least 20 bits in `reader`, as it finds them.
HWY_INLINE bool DecodeBlock(BaselineComponent* component, BitReader* reader, int16_t* block,
                            uint8_t* last) {
  using Symbol = HuffmanTable::Symbol;
  BitReader in = *reader;  // which nobody has the address of, so that it stays in registers
  const HuffmanTable& dc_table = *component->dc_table;
  const Symbol dc = TakeSymbol(dc_table, &in);
  if (HWY_UNLIKELY(HuffmanTable::Skip(dc) != 0)) return false;
  component->predictor += HuffmanTable::Value(dc);
  if (HWY_UNLIKELY(!component->samples->IsTame(component->predictor, 0))) return false;

  const HuffmanTable& ac_table = *component->ac_table;
  unsigned k = 1;
  unsigned last_k;
  const auto take = [&](Symbol ac) HWY_ATTR {
    in.Use(HuffmanTable::Length(ac));
    last_k = k;
    k += HuffmanTable::Skip(ac);
    block[kPlaces[k]] = HuffmanTable::Value(ac);
    ++k;
  };
  // Known symbols are short, so that bits are looked up before they are refilled: nothing waits.
  do {
    Symbol ac = ac_table.Look(in.bits);
    in.Refill();
    if (HWY_UNLIKELY(ac & HuffmanTable::kUnknown)) {
      ac = FindCoefficient(*component, ac, in.bits, k);
    }
    take(ac);
    if (k >= kBlockSize) break;
    ac = ac_table.Look(in.bits);
    if (HWY_UNLIKELY(ac & HuffmanTable::kUnknown)) {
      ac = FindCoefficient(*component, ac, in.bits, k);
      take(ac);
      in.Refill();
    } else {
      take(ac);
    }
  } while (k < kBlockSize);
  *reader = in;
  block[0] = static_cast<int16_t>(component->predictor);
  *last = static_cast<uint8_t>(last_k - 1);
  if (k > HuffmanTable::kEndOfBlock) return true;
  *last = kBlockSize - 1;
  return k == kBlockSize;
}

// The blocks of a batch in the order of the stream.
void ListBlocks(BaselineScan* scan) {
  int listed = 0;
  for (int mcu = 0; mcu < kBatchMcus; ++mcu) {
    int first = 0;  // of the component's
    for (int c = 0; c < scan->picture.component_count; ++c) {
      const JpegComponent& samples = scan->picture.components[c];
      for (int v = 0; v < samples.v; ++v) {
        for (int h = 0; h < samples.h; ++h) {
          const int block = first + (v * kBatchMcus + mcu) * samples.h + h;
          scan->blocks[listed++] = {
              .component = &scan->components[c],
              .coefficients = BlockAt(scan->coefficients.data(), static_cast<size_t>(block)),
              .last = &scan->last[block],
          };
        }
      }
      first += samples.h * samples.v * kBatchMcus;
    }
  }
  scan->blocks_per_mcu = listed / kBatchMcus;
}

// A row of MCUs, to samples. False where anything is unusual.
bool DecodeMcuRow(BaselineScan* scan, int mcu_row, BitReader* reader, V16* wild) {
  const size_t coefficient_bytes =
      scan->blocks_per_mcu * kBatchMcus * kBlockSize * sizeof scan->coefficients[0];
  const int mcus_per_row = scan->picture.mcus_per_row;
  for (int x = 0; x < mcus_per_row; x += kBatchMcus) {
    const int mcus = std::min(kBatchMcus, mcus_per_row - x);
    *reader = Provided(&scan->data.bytes, *reader);
    std::memset(scan->coefficients.data(), 0, coefficient_bytes);
    const BaselineBlock* block = scan->blocks.data();
    for (int mcu = 0; mcu < mcus; ++mcu) {
      if (scan->data.IntervalEnds()) {
        if (!NextInterval(&scan->data, reader)) return false;
        for (BaselineComponent& component : scan->components) component.predictor = 0;
      }
      for (const BaselineBlock* const end = block + scan->blocks_per_mcu; block < end; ++block) {
        if (!DecodeBlock(block->component, reader, block->coefficients, block->last)) return false;
      }
    }
    if (BitsLeft(scan->data.bytes, *reader) < 0) return false;
    int first = 0;
    for (const JpegComponent& component : scan->picture.Components()) {
      for (int y = 0; y < component.v; ++y, first += component.h * kBatchMcus) {
        TransformBlocks(component, &scan->coefficients[first * kBlockSize], &scan->last[first],
                        mcus * component.h, wild,
                        component.Row((mcu_row * component.v + y) * 8) + x * component.h * 8);
      }
    }
  }
  return true;
}

bool DecodeScan(BaselineScan* scan, Band* band) {
  ListBlocks(scan);
  BitReader reader = StartInterval(&scan->data.bytes);
  const auto decode = [&](int mcu_row, V16* wild)
                          HWY_ATTR { return DecodeMcuRow(scan, mcu_row, &reader, wild); };
  return MakeRows(scan->picture, band, decode) && AtMarker(&scan->data.bytes, reader) &&
         scan->data.bytes.Pass(JPEG_EOI);
}

#endif  // HWY_TARGET == HWY_SCALAR
}  // namespace HWY_NAMESPACE
}  // namespace pomona
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pomona {
namespace {

HWY_EXPORT(DecodeScan);

// Whether a table is there and such as libjpeg accepts.
bool Prepare(const JHUFF_TBL* table, bool is_dc, HuffmanTable* prepared) {
  return table != nullptr && prepared->Prepare(*table, is_dc);
}

bool PrepareTables(const jpeg_decompress_struct& cinfo, BaselineScan* scan) {
  constexpr int kTables = static_cast<int>(std::tuple_size_v<decltype(scan->dc_tables)>);
  bool dc_ready[kTables] = {};
  bool ac_ready[kTables] = {};
  for (int i = 0; i < cinfo.num_components; ++i) {
    const int dc = cinfo.comp_info[i].dc_tbl_no;
    const int ac = cinfo.comp_info[i].ac_tbl_no;
    if (dc < 0 || dc >= kTables || ac < 0 || ac >= kTables) return false;
    dc_ready[dc] = dc_ready[dc] || Prepare(cinfo.dc_huff_tbl_ptrs[dc], true, &scan->dc_tables[dc]);
    ac_ready[ac] = ac_ready[ac] || Prepare(cinfo.ac_huff_tbl_ptrs[ac], false, &scan->ac_tables[ac]);
    if (!dc_ready[dc] || !ac_ready[ac]) return false;
    scan->components[i] = {.samples = &scan->picture.components[i],
                           .dc_table = &scan->dc_tables[dc],
                           .ac_table = &scan->ac_tables[ac]};
  }
  return true;
}

// Whether the first scan is all of the picture.
bool HasOneScan(const jpeg_decompress_struct& cinfo) {
  if (cinfo.progressive_mode || cinfo.comps_in_scan != cinfo.num_components) return false;
  if (cinfo.Ss != 0 || cinfo.Se != kBlockSize - 1 || cinfo.Ah != 0 || cinfo.Al != 0) return false;
  for (int i = 0; i < cinfo.num_components; ++i) {
    if (cinfo.cur_comp_info[i] != &cinfo.comp_info[i]) return false;
  }
  return true;
}

}  // namespace

bool DecodeBaselineJpeg(const jpeg_decompress_struct& cinfo, Workspace* memory, RowSink* rows) {
  if (!HasOneScan(cinfo)) return false;
  const auto scan = std::make_unique_for_overwrite<BaselineScan>();
  if (!scan->picture.Prepare(cinfo) || !PrepareTables(cinfo, scan.get())) return false;
  scan->data.Start({cinfo.src->next_input_byte, cinfo.src->bytes_in_buffer},
                   cinfo.restart_interval);
  scan->picture.TakeMemory(&memory->samples, 0);
  Band band(scan->picture.width, scan->picture.height, &memory->rgb, rows);
  return HWY_DYNAMIC_DISPATCH(DecodeScan)(scan.get(), &band);
}

}  // namespace pomona
#endif  // HWY_ONCE

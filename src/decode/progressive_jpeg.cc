// Each scan adds bits to coefficients that are all kept; the pixels are made at the end. A mask of its
// nonzero coefficients tells what a scan has to look at in a block.
#include "progressive_jpeg.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include "jpeg_targets.h"
#include "libjpeg.h"
#include "pixels.h"
#include "progressive_scan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "decode/progressive_jpeg.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "jpeg_bits-inl.h"
#include "jpeg_pixels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pomona {
namespace HWY_NAMESPACE {
#if HWY_TARGET == HWY_SCALAR

bool AddScan(ProgressiveScan*) { return false; }
bool MakePixels(ProgressiveScan*, Band*) { return false; }

#else
using Symbol = HuffmanTable::Symbol;

static_assert(kMaxGroup % kGroup == 0);

// The places k and above, in the order of the stream.
constexpr uint64_t From(int k) { return ~uint64_t{0} << k; }

// How many blocks end here, from the one at hand on.
HWY_INLINE unsigned TakeRun(Symbol end_of_block, BitReader* in) {
  const int bits = HuffmanTable::Value(end_of_block);
  unsigned run = 1U << bits;
  if (bits > 0) run += static_cast<unsigned>(in->bits >> (64 - bits));
  in->Use(bits);
  return run;
}

// Each adds a scan's bits to one block; those that return bool are false where anything is unusual. They
// find at least 16 bits in the reader and leave as many. `run`: how many blocks to come have no symbols.

bool AddDc(const ProgressiveScan& scan, const JpegComponent& samples, const HuffmanTable& table,
           int* predictor, BitReader* in, int16_t* block) {
  const Symbol symbol = TakeSymbol(table, in);
  if (HuffmanTable::Skip(symbol) != 0) return false;
  *predictor += HuffmanTable::Value(symbol);
  // With all bits that are still to come.
  if (!samples.IsTame((std::abs(*predictor) + 1) << scan.low, 0)) return false;
  *block = static_cast<int16_t>(*predictor * (1 << scan.low));
  return true;
}

HWY_INLINE void RefineDc(int low, BitReader* in, int16_t* block) {
  in->Refill();
  *block = static_cast<int16_t>(*block | static_cast<int>(in->bits >> 63) << low);
  in->Use(1);
}

bool AddAc(const ProgressiveScan& scan, const JpegComponent& samples, unsigned* run,
           BitReader* reader, int16_t* block, uint64_t* set) {
  BitReader in = *reader;  // a copy, which stays in registers
  uint64_t places = *set;
  for (int k = scan.first; k <= scan.last; ++k) {
    const Symbol symbol = TakeSymbol(scan.ac_table, &in);
    const unsigned skip = HuffmanTable::Skip(symbol);
    if (skip == HuffmanTable::kEndOfBlock) {
      *run = TakeRun(symbol, &in) - 1;
      break;
    }
    k += static_cast<int>(skip);
    if (k > scan.last) return false;
    const int value = HuffmanTable::Value(symbol);
    if (value == 0) continue;  // sixteen zeros
    if (!samples.IsTame((std::abs(value) + 1) << scan.low, static_cast<unsigned>(k))) return false;
    block[kPlaces[static_cast<size_t>(k)]] = static_cast<int16_t>(value * (1 << scan.low));
    places |= uint64_t{1} << k;
  }
  *reader = in;
  *set = places;
  return true;
}

// kBitOf[byte][n]: which bit of a byte is the one behind n that are set.
using BitOf = std::array<std::array<uint8_t, 8>, 256>;

constexpr BitOf MakeBitOf() {
  BitOf bit_of = {};
  for (unsigned byte = 0; byte < 256; ++byte) {
    size_t n = 0;
    for (uint8_t bit = 0; bit < 8; ++bit) {
      if ((byte >> bit & 1) != 0) bit_of[byte][n++] = bit;
    }
  }
  return bit_of;
}

constexpr BitOf kBitOf = MakeBitOf();

// The place that comes after `skip` others of the set; kBlockSize or more where there are fewer. Byte by
// byte: the length of a loop over bits would be mispredicted.
HWY_INLINE int PlaceOf(uint64_t places, unsigned skip) {
  int k = std::countr_zero(places) & ~7;
  for (places >>= k & 63; k < kBlockSize; k += 8, places >>= 8) {
    const uint64_t byte = places & 255;
    const auto here = static_cast<unsigned>(std::popcount(byte));
    if (skip < here) return k + kBitOf[byte][skip];
    skip -= here;
  }
  return k;
}

// The next bit of each coefficient that is not zero, in the order of the stream, the last one lowest.
struct Corrections {
  uint64_t bits = 0;

  HWY_INLINE void Take(int count, BitReader* in) {
    constexpr int kAtOnce = 32;
    for (; HWY_UNLIKELY(count > kAtOnce); count -= kAtOnce) TakeUpTo(kAtOnce, in);
    TakeUpTo(count, in);
  }

  // Away from zero.
  HWY_INLINE void Apply(uint64_t places, int low, int16_t* block) const {
    for (int left = std::popcount(places); left > 0; places &= places - 1) {
      int16_t& coefficient = block[kPlaces[static_cast<size_t>(std::countr_zero(places))]];
      const int sign = coefficient >> 15;
      const int bit = static_cast<int>(bits >> --left & 1) << low;
      coefficient = static_cast<int16_t>(coefficient + ((bit ^ sign) - sign));
    }
  }

 private:
  HWY_INLINE void TakeUpTo(int count, BitReader* in) {
    in->Refill();
    bits = bits << count | (in->bits >> 1) >> (63 - count);
    in->Use(count);
  }
};

bool RefineAc(const ProgressiveScan& scan, unsigned* run, BitReader* reader, int16_t* block,
              uint64_t* set) {
  BitReader in = *reader;
  const uint64_t band = From(scan.first) & ~(From(scan.last) << 1);
  const uint64_t before = *set & band;  // what is new has no further bit in this scan
  uint64_t rest = band;
  Corrections corrections;
  while (*run == 0 && rest != 0) {
    const Symbol symbol = TakeSymbol(scan.ac_table, &in);
    const unsigned skip = HuffmanTable::Skip(symbol);
    if (skip == HuffmanTable::kEndOfBlock) {
      *run = TakeRun(symbol, &in);
      break;
    }
    const int value = HuffmanTable::Value(symbol);
    if (skip > 15 || std::abs(value) > 1) return false;
    const int k = PlaceOf(rest & ~before, skip);
    if (k >= kBlockSize) return false;
    corrections.Take(std::popcount(rest & before & ~From(k)), &in);
    if (value != 0) {
      block[kPlaces[static_cast<size_t>(k)]] = static_cast<int16_t>(value * (1 << scan.low));
      *set |= uint64_t{1} << k;
    }
    rest &= From(k) << 1;
  }
  if (*run > 0) --*run;
  corrections.Take(std::popcount(rest & before), &in);
  corrections.Apply(before, scan.low, block);
  in.Refill();
  *reader = in;
  return true;
}

// Called in front of every kMaxBatchBlocks blocks at the latest. False where the data have ended.
HWY_INLINE bool Provide(ScanData* data, BitReader* reader) {
  if (BitsLeft(data->bytes, *reader) < 0) return false;
  *reader = Provided(&data->bytes, *reader);
  return true;
}

// Calls add(index) for the blocks of a scan of one component, and restart() between intervals.
template <typename Restart, typename Add>
bool EachBlock(const ProgressiveComponent& component, ScanData* data, BitReader* reader,
               Restart restart, Add add) {
  for (int y = 0; y < component.height; ++y) {
    const size_t row = static_cast<size_t>(y) * component.blocks_per_row;
    for (int x = 0; x < component.width; ++x) {
      if (x % kMaxBatchBlocks == 0 && !Provide(data, reader)) return false;
      if (data->IntervalEnds() && !restart()) return false;
      if (!add(row + static_cast<size_t>(x))) return false;
    }
  }
  return true;
}

bool AddAcScan(ProgressiveScan* scan, BitReader* reader) {
  const size_t number = scan->in_scan[0];
  const ProgressiveComponent& component = scan->components[number];
  const JpegComponent& samples = scan->picture.components[number];
  unsigned run = 0;
  const auto restart = [&] HWY_ATTR { return run == 0 && NextInterval(&scan->data, reader); };
  const auto add = [&](size_t index) HWY_ATTR {
    int16_t* block = BlockAt(component.coefficients, index);
    if (scan->refines) return RefineAc(*scan, &run, reader, block, &component.set[index]);
    if (run == 0) return AddAc(*scan, samples, &run, reader, block, &component.set[index]);
    --run;
    return true;
  };
  return EachBlock(component, &scan->data, reader, restart, add) && run == 0;
}

bool AddDcScan(ProgressiveScan* scan, BitReader* reader) {
  std::array<int, 3> predictors = {};
  const auto add = [&](size_t i, size_t index) HWY_ATTR {
    const size_t number = scan->in_scan[i];
    int16_t* block = BlockAt(scan->components[number].coefficients, index);
    if (scan->refines) {
      RefineDc(scan->low, reader, block);
      return true;
    }
    return AddDc(*scan, scan->picture.components[number], scan->dc_tables[i], &predictors[i],
                 reader, block);
  };
  const auto restart = [&] HWY_ATTR {
    predictors = {};
    return NextInterval(&scan->data, reader);
  };
  if (scan->count == 1) {
    const size_t number = scan->in_scan[0];
    return EachBlock(scan->components[number], &scan->data, reader, restart,
                     [&](size_t index) HWY_ATTR { return add(0, index); });
  }
  for (int y = 0; y < scan->picture.mcu_rows; ++y) {
    for (int x = 0; x < scan->picture.mcus_per_row; ++x) {
      if (x % kBatchMcus == 0 && !Provide(&scan->data, reader)) return false;
      if (scan->data.IntervalEnds() && !restart()) return false;
      for (size_t i = 0; i < scan->count; ++i) {
        const size_t number = scan->in_scan[i];
        const JpegComponent& samples = scan->picture.components[number];
        const ProgressiveComponent& component = scan->components[number];
        for (int v = 0; v < samples.v; ++v) {
          for (int h = 0; h < samples.h; ++h) {
            const auto row = static_cast<size_t>(y * samples.v + v);
            const auto column = static_cast<size_t>(x * samples.h + h);
            if (!add(i, row * component.blocks_per_row + column)) return false;
          }
        }
      }
    }
  }
  return true;
}

// The scan at hand. False where anything is unusual.
bool AddScan(ProgressiveScan* scan) {
  BitReader reader = StartInterval(&scan->data.bytes);
  const bool added = scan->first == 0 ? AddDcScan(scan, &reader) : AddAcScan(scan, &reader);
  return added && AtMarker(&scan->data.bytes, reader);
}

bool MakePixels(ProgressiveScan* scan, Band* band) {
  const size_t most = scan->components[0].blocks_per_row;
  const auto last = std::make_unique_for_overwrite<uint8_t[]>(most);
  const auto decode = [&](int mcu_row, V16* wild) HWY_ATTR {
    for (int i = 0; i < scan->picture.component_count; ++i) {
      const JpegComponent& samples = scan->picture.components[static_cast<size_t>(i)];
      const ProgressiveComponent& component = scan->components[static_cast<size_t>(i)];
      const int blocks = scan->picture.mcus_per_row * samples.h;
      for (int y = mcu_row * samples.v; y < (mcu_row + 1) * samples.v; ++y) {
        const size_t first = static_cast<size_t>(y) * component.blocks_per_row;
        for (size_t x = 0; x < component.blocks_per_row; ++x) {
          last[x] = static_cast<uint8_t>(63 - std::countl_zero(component.set[first + x]));
        }
        TransformBlocks(samples, component.coefficients + first * kBlockSize, last.get(), blocks,
                        wild, samples.Row(y * 8));
      }
    }
    return true;
  };
  return MakeRows(scan->picture, band, decode);
}

#endif  // HWY_TARGET == HWY_SCALAR
}  // namespace HWY_NAMESPACE
}  // namespace pomona
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pomona {
namespace {

HWY_EXPORT(AddScan);
HWY_EXPORT(MakePixels);

constexpr size_t kTables = NUM_HUFF_TBLS;

// The Huffman tables as they are in front of a scan.
struct Tables {
  std::array<std::optional<JHUFF_TBL>, kTables> dc, ac;
};

std::optional<JHUFF_TBL> CopyOf(const JHUFF_TBL* table) {
  return table == nullptr ? std::nullopt : std::optional(*table);
}

bool ReadTables(std::span<const uint8_t> segment, Tables* tables) {
  constexpr size_t kHead = 1 + 16;
  while (!segment.empty()) {
    if (segment.size() < kHead) return false;
    const size_t kind = segment[0] >> 4;
    const size_t number = segment[0] & 15;
    if (kind > 1 || number >= kTables) return false;
    JHUFF_TBL table = {};
    size_t count = 0;
    for (size_t length = 1; length <= 16; ++length) {
      table.bits[length] = segment[length];
      count += segment[length];
    }
    if (count > std::size(table.huffval) || segment.size() < kHead + count) return false;
    std::copy_n(&segment[kHead], count, table.huffval);
    (kind == 0 ? tables->dc : tables->ac)[number] = table;
    segment = segment.subspan(kHead + count);
  }
  return true;
}

class ProgressiveJpeg {
 public:
  explicit ProgressiveJpeg(const jpeg_decompress_struct& cinfo) : cinfo_(cinfo) {}

  bool Decode(int max_scans, Workspace* memory, RowSink* rows) {
    if (!scan_.picture.Prepare(cinfo_)) return false;
    for (size_t i = 0; i < kTables; ++i) {
      tables_.dc[i] = CopyOf(cinfo_.dc_huff_tbl_ptrs[i]);
      tables_.ac[i] = CopyOf(cinfo_.ac_huff_tbl_ptrs[i]);
    }
    TakeMemory(&memory->samples);
    for (ProgressiveComponent& component : scan_.components) component.lacking.fill(-1);
    restart_interval_ = cinfo_.restart_interval;
    rest_ = {cinfo_.src->next_input_byte, cinfo_.src->bytes_in_buffer};
    bool more = ReadFirstScan();
    for (int scans = 0; more; more = ReadScan()) {
      if (++scans > max_scans || !Accept()) return false;
      scan_.data.Start(rest_, restart_interval_);
      if (!HWY_DYNAMIC_DISPATCH(AddScan)(&scan_)) return false;
      const UnstuffedBytes& bytes = scan_.data.bytes;
      rest_ = {bytes.in, static_cast<size_t>(bytes.in_end - bytes.in)};
    }
    if (!ended_ || !IsComplete()) return false;
    Band band(scan_.picture.width, scan_.picture.height, &memory->rgb, rows);
    return HWY_DYNAMIC_DISPATCH(MakePixels)(&scan_, &band);
  }

 private:
  // As much as was claimed.
  void TakeMemory(Buffer* memory) {
    uint8_t* free = scan_.picture.TakeMemory(memory, static_cast<size_t>(CoefficientBytes(cinfo_)));
    for (size_t i = 0; i < scan_.picture.Components().size(); ++i) {
      ProgressiveComponent& component = scan_.components[i];
      const JpegComponent& samples = scan_.picture.components[i];
      component.width = static_cast<int>(cinfo_.comp_info[i].width_in_blocks);
      component.height = static_cast<int>(cinfo_.comp_info[i].height_in_blocks);
      const auto blocks_per_row = static_cast<size_t>(scan_.picture.mcus_per_row * samples.h);
      component.blocks_per_row = (blocks_per_row + kMaxGroup - 1) / kMaxGroup * kMaxGroup;
      component.rows = static_cast<size_t>(scan_.picture.mcu_rows * samples.v);
      component.coefficients = reinterpret_cast<int16_t*>(free);
      std::memset(free, 0, component.Blocks() * sizeof(JBLOCK));
      free += component.Blocks() * sizeof(JBLOCK);
      component.set = reinterpret_cast<uint64_t*>(free);
      std::fill_n(component.set, component.Blocks(), 1);
      free += component.Blocks() * sizeof(uint64_t);
    }
  }

  // What libjpeg has read of it.
  bool ReadFirstScan() {
    scan_.count = static_cast<size_t>(cinfo_.comps_in_scan);
    if (scan_.count > scan_.picture.Components().size()) return false;
    for (size_t i = 0; i < scan_.count; ++i) {
      const jpeg_component_info* info = cinfo_.cur_comp_info[i];
      scan_.in_scan[i] = static_cast<size_t>(info->component_index);
      dc_numbers_[i] = static_cast<size_t>(info->dc_tbl_no);
      ac_number_ = static_cast<size_t>(info->ac_tbl_no);
    }
    scan_.first = cinfo_.Ss;
    scan_.last = cinfo_.Se;
    high_ = cinfo_.Ah;
    scan_.low = cinfo_.Al;
    return true;
  }

  // The segments up to the next scan. False at the end of the picture, which `ended_` tells, and where
  // anything is unusual.
  bool ReadScan() {
    for (;;) {
      if (rest_.size() < 2 || rest_[0] != 0xff) return false;
      const int marker = rest_[1];
      if (marker == JPEG_EOI) {
        ended_ = true;
        return false;
      }
      if (rest_.size() < 4) return false;
      const size_t length = Read16(&rest_[2], ByteOrder::kBig);
      if (length < 2 || length > rest_.size() - 2) return false;
      const std::span<const uint8_t> segment = rest_.subspan(4, length - 2);
      rest_ = rest_.subspan(2 + length);
      constexpr int kHuffmanTables = 0xc4, kStartOfScan = 0xda, kRestartInterval = 0xdd;
      if (marker == kStartOfScan) return ReadScanHeader(segment);
      if (marker == kRestartInterval && segment.size() == 2) {
        restart_interval_ = Read16(segment.data(), ByteOrder::kBig);
      } else if (marker != kHuffmanTables || !ReadTables(segment, &tables_)) {
        return false;
      }
    }
  }

  bool ReadScanHeader(std::span<const uint8_t> segment) {
    if (segment.empty()) return false;
    const size_t count = segment[0];
    if (count < 1 || count > scan_.picture.Components().size()) return false;
    if (segment.size() != 1 + 2 * count + 3) return false;
    scan_.count = count;
    for (size_t i = 0; i < count; ++i) {
      const int id = segment[1 + 2 * i];
      const int numbers = segment[2 + 2 * i];
      // As in libjpeg, the search begins at the scan's own index.
      size_t index = i;
      const size_t all = scan_.picture.Components().size();
      while (index < all && cinfo_.comp_info[index].component_id != id) ++index;
      scan_.in_scan[i] = index;
      dc_numbers_[i] = static_cast<size_t>(numbers >> 4);
      ac_number_ = static_cast<size_t>(numbers & 15);
    }
    scan_.first = segment[1 + 2 * count];
    scan_.last = segment[2 + 2 * count];
    high_ = segment[3 + 2 * count] >> 4;
    scan_.low = segment[3 + 2 * count] & 15;
    return true;
  }

  // Whether the scan follows from those before it, and its tables are there. It then counts as one of
  // them.
  bool Accept() {
    constexpr int kMaxLow = 10;  // of coefficients of 11 bits and a sign
    scan_.refines = high_ != 0;
    if (scan_.refines ? scan_.low != high_ - 1 : scan_.low > kMaxLow) return false;
    if (scan_.first == 0
            ? scan_.last != 0
            : scan_.count != 1 || scan_.last < scan_.first || scan_.last >= kBlockSize) {
      return false;
    }
    for (size_t i = 0; i < scan_.count; ++i) {
      const size_t number = scan_.in_scan[i];
      if (number >= scan_.picture.Components().size()) return false;
      ProgressiveComponent& component = scan_.components[number];
      const JpegComponent& samples = scan_.picture.components[number];
      if (scan_.first > 0 && component.lacking[0] < 0) return false;
      for (int k = scan_.first; k <= scan_.last; ++k) {
        int8_t& lacking = component.lacking[static_cast<size_t>(k)];
        if (lacking != (scan_.refines ? high_ : -1)) return false;
        // New coefficients come without a look at their size.
        const int most = scan_.refines ? 2 << scan_.low : 0;
        if (k > 0 && !samples.IsTame(most, static_cast<unsigned>(k))) return false;
        lacking = static_cast<int8_t>(scan_.low);
      }
    }
    return PrepareTables();
  }

  bool PrepareTables() {
    if (scan_.first > 0) {
      return ac_number_ < kTables && tables_.ac[ac_number_] &&
             scan_.ac_table.Prepare(*tables_.ac[ac_number_], false);
    }
    for (size_t i = 0; !scan_.refines && i < scan_.count; ++i) {
      const size_t number = dc_numbers_[i];
      if (number >= kTables || !tables_.dc[number] ||
          !scan_.dc_tables[i].Prepare(*tables_.dc[number], true)) {
        return false;
      }
    }
    return true;
  }

  bool IsComplete() const {
    return std::all_of(scan_.components.begin(),
                       scan_.components.begin() + scan_.picture.component_count,
                       [](const ProgressiveComponent& component) {
                         return std::all_of(component.lacking.begin(), component.lacking.end(),
                                            [](int8_t lacking) { return lacking == 0; });
                       });
  }

  const jpeg_decompress_struct& cinfo_;
  Tables tables_;
  unsigned restart_interval_ = 0;
  std::span<const uint8_t> rest_;  // of the file
  bool ended_ = false;
  std::array<size_t, 3> dc_numbers_ = {};
  size_t ac_number_ = 0;  // a scan of such coefficients has one component
  int high_ = 0;          // down to which bit its coefficients are known already; 0: none is
  ProgressiveScan scan_;
};

}  // namespace

int64_t CoefficientBytes(const jpeg_decompress_struct& cinfo) {
  constexpr auto kGroup = static_cast<int64_t>(kMaxGroup);
  const auto whole = [](int64_t count, int64_t step) { return (count + step - 1) / step * step; };
  int64_t units = 0;
  for (const jpeg_component_info& component : std::span(cinfo.comp_info, cinfo.num_components)) {
    units += whole(whole(component.width_in_blocks, component.h_samp_factor), kGroup) *
             whole(component.height_in_blocks, component.v_samp_factor);
  }
  const size_t bytes = IsLossless(cinfo) ? sizeof(JSAMPLE) : sizeof(JBLOCK) + sizeof(uint64_t);
  return units * static_cast<int64_t>(bytes);
}

bool DecodeProgressiveJpeg(const jpeg_decompress_struct& cinfo, int max_scans, Workspace* memory,
                           RowSink* rows) {
  if (!cinfo.progressive_mode) return false;
  if (std::make_unique<ProgressiveJpeg>(cinfo)->Decode(max_scans, memory, rows)) return true;
  memory->samples.Drop();
  return false;
}

}  // namespace pomona
#endif  // HWY_ONCE

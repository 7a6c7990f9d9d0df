#include "archive/compress.hpp"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <algorithm>

namespace coffer::archive {

namespace {

constexpr std::size_t kChunk = 256 * 1024;

class NoDecoder : public Decoder {
  public:
    Result<Step> step(std::string_view input, std::span<char> output) override {
        const std::size_t n = std::min(input.size(), output.size());
        std::copy_n(input.data(), n, output.data());
        return Step{n, n};
    }
    Result<void> finish() override { return {}; }
};

class GzipDecoder : public Decoder {
  public:
    GzipDecoder() {
        ::isal_inflate_init(&state_);
        state_.crc_flag = ISAL_GZIP;
    }

    Result<Step> step(std::string_view input, std::span<char> output) override {
        // igzip stops after each member; what follows must be another one.
        if (state_.block_state == ISAL_BLOCK_FINISH) {
            if (input.empty()) return Step{};
            ::isal_inflate_reset(&state_);
            state_.crc_flag = ISAL_GZIP;
        }
        constexpr std::size_t kMost = 1U << 30U;
        const std::size_t in = std::min(input.size(), kMost);
        const std::size_t out = std::min(output.size(), kMost);
        // NOLINTNEXTLINE: igzip reads through a pointer to non-const
        state_.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(input.data()));
        state_.avail_in = static_cast<std::uint32_t>(in);
        state_.next_out = reinterpret_cast<std::uint8_t*>(output.data());
        state_.avail_out = static_cast<std::uint32_t>(out);
        const int status = ::isal_inflate(&state_);
        if (status == ISAL_INCORRECT_CHECKSUM) {
            return fail(Code::InvalidArgument, "gzip: wrong checksum");
        }
        // ISAL_END_INPUT only says that it wants more; finish() finds a stream cut short.
        if (status < 0) return fail(Code::InvalidArgument, "gzip: corrupt data ({})", status);
        return Step{in - state_.avail_in, out - state_.avail_out};
    }

    Result<void> finish() override {
        if (state_.block_state == ISAL_BLOCK_FINISH) return {};
        return fail(Code::InvalidArgument, "gzip: unexpected end of data");
    }

  private:
    inflate_state state_{};
};

class ZstdDecoder : public Decoder {
  public:
    ZstdDecoder() : context_(::ZSTD_createDCtx()) {
        // 128 MiB of window: what zstd --ultra -22 makes, and the most that peers accept.
        ::ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, 27);
    }
    ~ZstdDecoder() override { ::ZSTD_freeDCtx(context_); }
    ZstdDecoder(const ZstdDecoder&) = delete;
    ZstdDecoder& operator=(const ZstdDecoder&) = delete;
    ZstdDecoder(ZstdDecoder&&) = delete;
    ZstdDecoder& operator=(ZstdDecoder&&) = delete;

    Result<Step> step(std::string_view input, std::span<char> output) override {
        if (input.empty() && hint_ == 0) return Step{};
        ZSTD_inBuffer in{input.data(), input.size(), 0};
        ZSTD_outBuffer out{output.data(), output.size(), 0};
        const std::size_t status = ::ZSTD_decompressStream(context_, &out, &in);
        if (::ZSTD_isError(status) != 0) {
            return fail(Code::InvalidArgument, "zstd: {}", ::ZSTD_getErrorName(status));
        }
        hint_ = status;
        return Step{in.pos, out.pos};
    }

    Result<void> finish() override {
        if (hint_ == 0) return {};
        return fail(Code::InvalidArgument, "zstd: unexpected end of data");
    }

  private:
    ZSTD_DCtx* context_;
    std::size_t hint_ = 1;  // 0 at the end of a frame
};

}  // namespace

Result<Compression> detect_compression(std::string_view head) {
    using std::string_view_literals::operator""sv;
    if (head.starts_with("\x1f\x8b\x08"sv)) return Compression::Gzip;
    // A frame, or a skippable frame (as zstd:chunked and pzstd begin with).
    if (head.starts_with("\x28\xb5\x2f\xfd"sv)) return Compression::Zstd;
    if (head.size() >= 4 && (static_cast<unsigned char>(head[0]) & 0xf0U) == 0x50 &&
        head.substr(1, 3) == "\x2a\x4d\x18"sv) {
        return Compression::Zstd;
    }
    if (head.starts_with("\xfd"
                         "7zXZ\0"sv)) {
        return fail(Code::InvalidArgument, "compression with xz is not supported");
    }
    if (head.starts_with("BZh")) {
        return fail(Code::InvalidArgument, "compression with bzip2 is not supported");
    }
    return Compression::None;
}

std::unique_ptr<Decoder> Decoder::create(Compression compression) {
    switch (compression) {
        case Compression::None:
            return std::make_unique<NoDecoder>();
        case Compression::Gzip:
            return std::make_unique<GzipDecoder>();
        case Compression::Zstd:
            return std::make_unique<ZstdDecoder>();
    }
    return nullptr;
}

Result<void> DecodingSource::start() {
    while (head_.size() < 6) {
        const std::string_view chunk = TRY(encoded_->next());
        if (chunk.empty()) {
            input_ended_ = true;
            break;
        }
        head_.append(chunk);
    }
    decoder_ = Decoder::create(TRY(detect_compression(head_)));
    pending_ = head_;
    return {};
}

Result<std::size_t> DecodingSource::read(std::span<char> output) {
    if (!decoder_) TRY(start());
    std::size_t filled = 0;
    while (!ended_ && filled < output.size()) {
        const auto step = TRY(decoder_->step(pending_, output.subspan(filled)));
        pending_.remove_prefix(step.consumed);
        filled += step.produced;
        if (step.consumed != 0 || step.produced != 0) continue;
        if (!pending_.empty()) return fail(Code::InvalidArgument, "decompression is stuck");
        if (!input_ended_) pending_ = TRY(encoded_->next());
        if (pending_.empty()) {
            input_ended_ = true;
            ended_ = true;
            TRY(decoder_->finish());
        }
    }
    return filled;
}

Result<std::string_view> DecodingSource::next() {
    buffer_.resize(kChunk);
    const std::size_t n = TRY(read(buffer_));
    return std::string_view(buffer_).substr(0, n);
}

struct GzipEncoder::Impl {
    explicit Impl(Sink to) : sink(std::move(to)), level_buffer(ISAL_DEF_LVL1_DEFAULT, '\0') {
        ::isal_deflate_init(&stream);
        stream.gzip_flag = IGZIP_GZIP;
        stream.level = 1;
        stream.level_buf = reinterpret_cast<std::uint8_t*>(level_buffer.data());
        stream.level_buf_size = static_cast<std::uint32_t>(level_buffer.size());
    }

    Result<void> run() {
        std::string out(kChunk, '\0');
        do {
            stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
            stream.avail_out = static_cast<std::uint32_t>(out.size());
            if (::isal_deflate(&stream) != COMP_OK) return fail(Code::Internal, "gzip: encoder");
            const std::size_t n = out.size() - stream.avail_out;
            if (n > 0) TRY(sink(std::string_view(out).substr(0, n)));
        } while (stream.avail_out == 0);
        return {};
    }

    Sink sink;
    std::string level_buffer;
    isal_zstream stream{};
};

GzipEncoder::GzipEncoder(Sink sink) : impl_(std::make_unique<Impl>(std::move(sink))) {}
GzipEncoder::~GzipEncoder() = default;

Result<void> GzipEncoder::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::string_view part = bytes.substr(0, 1U << 30U);
        // NOLINTNEXTLINE: igzip reads through a pointer to non-const
        impl_->stream.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(part.data()));
        impl_->stream.avail_in = static_cast<std::uint32_t>(part.size());
        TRY(impl_->run());
        bytes.remove_prefix(part.size());
    }
    return {};
}

Result<void> GzipEncoder::finish() {
    impl_->stream.avail_in = 0;
    impl_->stream.end_of_stream = 1;
    return impl_->run();
}

}  // namespace coffer::archive

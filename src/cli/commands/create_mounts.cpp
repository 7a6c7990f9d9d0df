// --mount, --volume and --gpus: docker's comma syntax and the volume specs of compose.
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "cli/checks.hpp"
#include "cli/commands/create_request.hpp"

namespace coffer::cli {

namespace {

std::string absolute(std::string_view path) {
    std::array<char, 4096> here{};
    if (::getcwd(here.data(), here.size()) == nullptr) return std::string(path);
    std::vector<std::string> parts = split(std::string_view(here.data()), '/');
    for (const std::string& part : split(path, '/')) {
        if (part == "..") {
            if (parts.size() > 1) parts.pop_back();
        } else if (!part.empty() && part != ".") {
            parts.push_back(part);
        }
    }
    std::string out = join(parts, "/");
    return out.empty() || out[0] != '/' ? "/" + out : out;
}

// One --mount being read, field by field.
class MountReader {
  public:
    Result<json::Value> read(std::string_view text) {
        for (const std::string& field : TRY(split_csv(text))) {
            const auto sides = cut(field, "=");
            const std::string key = to_lower(sides ? sides->first : std::string_view(field));
            if (sides) {
                TRY(set(key, sides->second, field));
            } else {
                TRY(set_bare(key, field));
            }
        }
        TRY(check());
        return build();
    }

  private:
    Result<void> set_bare(const std::string& key, std::string_view field) {
        if (key == "readonly" || key == "ro") {
            read_only_ = true;
        } else if (key == "volume-nocopy") {
            volume_.set("NoCopy", true);
            has_volume_ = true;
        } else if (key == "bind-nonrecursive") {
            bind_.set("NonRecursive", true);
            has_bind_ = true;
        } else {
            return fail(Code::InvalidArgument, "invalid field '{}' must be a key=value pair",
                        field);
        }
        return {};
    }

    static Result<bool> boolean(std::string_view key, std::string_view value) {
        const Result<std::string> checked = check_bool(value);
        if (!checked) return fail(Code::InvalidArgument, "invalid value for {}: {}", key, value);
        return *checked == "true";
    }

    Result<void> set(const std::string& key, std::string_view value, std::string_view field) {
        if (key == "idmap") {
            id_map_ = std::string(value);
        } else if (key == "type") {
            type_ = to_lower(value);
        } else if (key == "source" || key == "src") {
            source_ = value.starts_with('.') ? absolute(value) : std::string(value);
        } else if (key == "target" || key == "dst" || key == "destination") {
            target_ = std::string(value);
        } else if (key == "readonly" || key == "ro") {
            read_only_ = TRY(boolean(key, value));
        } else if (key == "consistency") {
            consistency_ = to_lower(value);
        } else if (key.starts_with("bind-")) {
            has_bind_ = true;
            return set_bind(key, value, field);
        } else if (key.starts_with("volume-")) {
            has_volume_ = true;
            return set_volume(key, value, field);
        } else if (key == "image-subpath") {
            has_image_ = true;
            subpath_ = std::string(value);
        } else if (key == "tmpfs-size") {
            const Result<std::int64_t> size = ram_in_bytes(value);
            if (!size) return fail(Code::InvalidArgument, "invalid value for {}: {}", key, value);
            has_tmpfs_ = true;
            if (*size != 0) tmpfs_.set("SizeBytes", *size);
        } else if (key == "tmpfs-mode") {
            const auto mode = parse_octal(value);
            if (!mode) return fail(Code::InvalidArgument, "invalid value for {}: {}", key, value);
            has_tmpfs_ = true;
            if (*mode != 0) tmpfs_.set("Mode", *mode);
        } else {
            return unexpected(key, field);
        }
        return {};
    }

    static Failure unexpected(std::string_view key, std::string_view field) {
        return fail(Code::InvalidArgument, "unexpected key '{}' in '{}'", key, field);
    }

    Result<void> set_bind(const std::string& key, std::string_view value, std::string_view field) {
        if (key == "bind-propagation") {
            propagation_ = to_lower(value);
            bind_.set("Propagation", propagation_);
        } else if (key == "bind-nonrecursive") {
            if (TRY(boolean(key, value))) bind_.set("NonRecursive", true);
        } else if (key != "bind-recursive") {
            return unexpected(key, field);
        } else if (value == "disabled") {
            bind_.set("NonRecursive", true);
        } else if (value == "writable") {
            bind_.set("ReadOnlyNonRecursive", true);
        } else if (value == "readonly") {
            bind_.set("ReadOnlyForceRecursive", true);
        } else if (value == "enabled") {
            has_bind_ = bind_.is_object();  // the default: asks for nothing
        } else {
            return fail(Code::InvalidArgument,
                        "invalid value for {}: {} (must be \"enabled\", \"disabled\", "
                        "\"writable\", or \"readonly\")",
                        key, value);
        }
        return {};
    }

    Result<void> set_volume(const std::string& key, std::string_view value,
                            std::string_view field) {
        const auto pair_of = [&]() -> std::pair<std::string_view, std::string_view> {
            const auto sides = cut(value, "=");
            return sides ? *sides : std::pair{value, std::string_view()};
        };
        if (key == "volume-subpath") {
            volume_subpath_ = std::string(value);
        } else if (key == "volume-nocopy") {
            const Result<bool> no_copy = boolean(key, value);
            if (!no_copy) {
                return fail(Code::InvalidArgument, "invalid value for volume-nocopy: {}", value);
            }
            if (*no_copy) volume_.set("NoCopy", true);
        } else if (key == "volume-label") {
            if (const auto [name, text] = pair_of(); !name.empty()) labels_.set(name, text);
        } else if (key == "volume-driver") {
            driver_ = std::string(value);
        } else if (key == "volume-opt") {
            if (const auto [name, text] = pair_of(); !name.empty()) driver_options_.set(name, text);
        } else {
            return unexpected(key, field);
        }
        return {};
    }

    Result<void> check() const {
        if (type_.empty()) return fail(Code::InvalidArgument, "type is required");
        if (target_.empty()) return fail(Code::InvalidArgument, "target is required");
        struct Group {
            bool used;
            std::string_view name;
        };
        for (const Group& group : {Group{has_volume_, "volume"}, Group{has_image_, "image"},
                                   Group{has_bind_, "bind"}, Group{has_tmpfs_, "tmpfs"}}) {
            if (group.used && type_ != group.name) {
                return fail(Code::InvalidArgument, "cannot mix '{}-*' options with mount type '{}'",
                            group.name, type_);
            }
        }
        const bool writable = bind_.find("ReadOnlyNonRecursive") != nullptr;
        const bool forced = bind_.find("ReadOnlyForceRecursive") != nullptr;
        if ((writable || forced) && !read_only_) {
            return fail(Code::InvalidArgument,
                        "option 'bind-recursive={}' requires 'readonly' to be specified in "
                        "conjunction",
                        writable ? "writable" : "readonly");
        }
        if (forced && propagation_ != "rprivate") {
            return fail(Code::InvalidArgument,
                        "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to "
                        "be specified in conjunction");
        }
        return {};
    }

    json::Value build() {
        json::Value out{json::Object{}};
        const auto as_object = [](json::Value value) {
            return value.is_object() ? std::move(value) : json::Value(json::Object{});
        };
        out.set("Type", type_);
        if (!source_.empty()) out.set("Source", source_);
        out.set("Target", target_);
        if (read_only_) out.set("ReadOnly", true);
        if (!consistency_.empty()) out.set("Consistency", consistency_);
        if (!id_map_.empty()) out.set("IdMap", id_map_);
        if (has_bind_) out.set("BindOptions", as_object(bind_));
        if (has_volume_) {
            json::Value options = as_object(volume_);
            if (labels_.is_object()) options.set("Labels", labels_);
            if (!volume_subpath_.empty()) options.set("Subpath", volume_subpath_);
            json::Value driver{json::Object{}};
            if (!driver_.empty()) driver.set("Name", driver_);
            if (driver_options_.is_object()) driver.set("Options", driver_options_);
            options.set("DriverConfig", std::move(driver));
            out.set("VolumeOptions", std::move(options));
        }
        if (has_image_) {
            json::Value options{json::Object{}};
            if (!subpath_.empty()) options.set("Subpath", subpath_);
            out.set("ImageOptions", std::move(options));
        }
        if (has_tmpfs_) out.set("TmpfsOptions", as_object(tmpfs_));
        return out;
    }

    std::string type_ = "volume";
    std::string source_;
    std::string target_;
    std::string consistency_;
    std::string propagation_;
    std::string subpath_;
    std::string id_map_;
    std::string volume_subpath_;
    std::string driver_;
    bool read_only_ = false;
    bool has_bind_ = false;
    bool has_volume_ = false;
    bool has_image_ = false;
    bool has_tmpfs_ = false;
    json::Value bind_;
    json::Value volume_;
    json::Value labels_;
    json::Value driver_options_;
    json::Value tmpfs_;
};

Result<std::int64_t> gpu_count(std::string_view text) {
    if (text == "all") return std::int64_t{-1};
    Result<std::int64_t> count = decimal(text, "Atoi");
    if (!count) {
        const std::string& why = count.error().message;
        return fail(Code::InvalidArgument,
                    "invalid count ({}): value must be either \"all\" or an integer: {}", text,
                    why.substr(why.rfind(": ") + 2));
    }
    return count;
}

}  // namespace

Result<std::vector<std::string>> split_csv(std::string_view text) {
    std::vector<std::string> fields;
    if (text.empty()) return fail(Code::InvalidArgument, "EOF");
    std::size_t i = 0;
    for (;;) {
        std::string field;
        if (i < text.size() && text[i] == '"') {
            for (++i;; ++i) {
                if (i >= text.size()) {
                    return fail(Code::InvalidArgument,
                                "parse error on line 1, column {}: extraneous or missing \" in "
                                "quoted-field",
                                i + 1);
                }
                if (text[i] != '"') {
                    field += text[i];
                } else if (i + 1 < text.size() && text[i + 1] == '"') {
                    field += text[++i];
                } else {
                    break;
                }
            }
            ++i;
            if (i < text.size() && text[i] != ',') {
                return fail(Code::InvalidArgument,
                            "parse error on line 1, column {}: extraneous or missing \" in "
                            "quoted-field",
                            i);
            }
        } else {
            while (i < text.size() && text[i] != ',') {
                if (text[i] == '"') {
                    return fail(Code::InvalidArgument,
                                "parse error on line 1, column {}: bare \" in non-quoted-field",
                                i + 1);
                }
                field += text[i++];
            }
        }
        fields.push_back(std::move(field));
        if (i >= text.size()) return fields;
        ++i;
    }
}

Result<json::Value> parse_mount(std::string_view text) {
    return MountReader().read(text);
}

Result<std::string> check_mount(std::string_view text) {
    TRY(parse_mount(text));
    return std::string(text);
}

Result<json::Value> parse_gpu_request(std::string_view text) {
    std::vector<std::string> seen;
    std::string driver;
    std::int64_t count = 0;
    json::Value ids;
    json::Value capabilities = json::Array{json::Array{"gpu"}};
    json::Value options{json::Object{}};
    bool has_count = false;
    for (const std::string& field : TRY(split_csv(text))) {
        const auto sides = cut(field, "=");
        const std::string key(sides ? sides->first : std::string_view(field));
        if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
            return fail(Code::InvalidArgument, "gpu request key '{}' can be specified only once",
                        key);
        }
        seen.push_back(key);
        if (!sides || key == "count") {
            count = TRY(gpu_count(sides ? sides->second : std::string_view(key)));
            has_count = true;
            seen.emplace_back("count");
        } else if (key == "driver") {
            driver = std::string(sides->second);
        } else if (key == "device") {
            ids = string_array(split(sides->second, ','));
        } else if (key == "capabilities") {
            std::vector<std::string> words = split(sides->second, ',');
            words.emplace_back("gpu");
            capabilities = json::Array{string_array(words)};
        } else if (key == "options") {
            options =
                string_map(TRY_CONTEXT(split_csv(sides->second), "failed to read gpu options"));
        } else {
            return fail(Code::InvalidArgument, "unexpected key '{}' in '{}'", key, field);
        }
    }
    if (!has_count && ids.is_null()) count = 1;
    return json::Value(json::Object{{"Driver", driver},
                                    {"Count", count},
                                    {"DeviceIDs", ids},
                                    {"Capabilities", capabilities},
                                    {"Options", options}});
}

Result<std::string> check_gpus(std::string_view text) {
    TRY(parse_gpu_request(text));
    return std::string(text);
}

Result<std::optional<std::string>> parse_volume(std::string_view text) {
    const auto refuse = [&](std::string_view why) {
        return fail(Code::InvalidArgument, "invalid spec: {}: {}", text, why);
    };
    if (text.empty()) return fail(Code::InvalidArgument, "invalid empty volume spec");
    if (text.size() <= 2) return std::optional<std::string>();
    std::vector<std::string> parts;
    for (const std::string& part : split(text, ':')) {
        // "c:" of a Windows path belongs to what follows.
        const bool drive = !parts.empty() && parts.back().size() == 1 &&
                           ((parts.back()[0] | 0x20) >= 'a' && (parts.back()[0] | 0x20) <= 'z');
        if (drive) {
            parts.back() += ":" + part;
        } else {
            parts.push_back(part);
        }
    }
    for (const std::string& part : parts) {
        if (part.empty()) return refuse("empty section between colons");
    }
    if (parts.size() > 3) return refuse("too many colons");
    if (parts.size() == 1) return std::optional<std::string>();
    std::string bind(text);
    if (parts[0].starts_with('.')) {
        bind = absolute(parts[0]) + bind.substr(parts[0].size());
    }
    return std::optional(std::move(bind));
}

}  // namespace coffer::cli

// The list of containers with docker's filters.
#include <algorithm>
#include <set>

#include "base/pattern.hpp"
#include "engine/containers_impl.hpp"
#include "engine/images.hpp"
#include "store/store.hpp"
#include "sys/file.hpp"

namespace coffer::engine {

namespace {

using Values = std::vector<std::string>;

// "80/tcp", "8000-8080/udp", "80": the ports it means, as "80/tcp".
Result<std::set<std::string>> parse_ports(const std::string& key, const std::string& value) {
    constexpr std::uint64_t kLast = 65535;
    if (value.find(':') != std::string::npos) {
        return fail(Code::InvalidArgument, "filter for '{}' should not contain ':': {}", key,
                    value);
    }
    const auto sides = cut(value, "/");
    const std::string_view numbers = sides ? sides->first : std::string_view(value);
    const std::string_view protocol = sides ? sides->second : "tcp";
    const auto range = cut(numbers, "-");
    const auto first = parse_uint(range ? range->first : numbers);
    const auto last = range ? parse_uint(range->second) : first;
    if (!first || !last || *first > *last || *last > kLast) {
        return fail(Code::InvalidArgument, "error while looking up for {} {}: invalid port", key,
                    value);
    }
    std::set<std::string> ports;
    for (auto port = *first; port <= *last; ++port) ports.insert(format("{}/{}", port, protocol));
    return ports;
}

template <class Predicate>
bool any_of(const Values& values, Predicate holds) {
    return std::any_of(values.begin(), values.end(), holds);
}

// The filters of one list, checked and prepared.
class Selection {
  public:
    static Result<Selection> create(const Containers::Impl& containers, const ListOptions& options);

    bool matches(const Record& record) const;
    // What only the summary tells.
    bool matches(const api::ContainerSummary& view) const;

  private:
    Selection(const Containers::Impl& containers, const Filters& filters)
        : containers_(&containers), filters_(&filters) {}
    Result<void> check_values();
    Result<void> find_bounds();
    bool has_ancestor(const Record& record) const;

    const Containers::Impl* containers_;
    const Filters* filters_;
    bool stopped_too_ = false;
    bool tasks_ = false;  // of a swarm, which no container is of
    std::string before_;  // times of creation
    std::string since_;
    std::set<std::int64_t> exit_codes_;
    std::set<std::string> published_;
    std::set<std::string> exposed_;
    std::vector<ImageForContainer> ancestors_;
    std::vector<Pattern> names_;
};

Result<Selection> Selection::create(const Containers::Impl& containers,
                                    const ListOptions& options) {
    const Filters& filters = options.filters;
    TRY(filters.accept({"ancestor", "before", "exited", "expose", "health", "id", "is-task",
                        "isolation", "label", "name", "network", "publish", "since", "status",
                        "volume"}));
    Selection selection(containers, filters);
    TRY(selection.check_values());
    TRY(selection.find_bounds());
    selection.stopped_too_ = options.all || options.limit > 0 || filters.has("status");
    selection.tasks_ = TRY(filters.boolean("is-task", false));
    for (const std::string& name : filters.get("ancestor")) {
        if (auto image = containers.core.images.look_up(name)) {
            selection.ancestors_.push_back(*std::move(image));
        }
    }
    for (const std::string& name : filters.get("name")) selection.names_.emplace_back(name);
    return selection;
}

Result<void> Selection::check_values() {
    for (const std::string& text : filters_->get("exited")) {
        const auto code = parse_int(text);
        if (!code) return fail(Code::InvalidArgument, "invalid filter 'exited={}'", text);
        exit_codes_.insert(*code);
    }
    for (const std::string& status : filters_->get("status")) {
        Record probe;
        probe.status = status;
        if (to_string(probe.state()) != status) {
            return fail(Code::InvalidArgument, "invalid filter 'status={}'", status);
        }
    }
    for (const std::string& health : filters_->get("health")) {
        if (health != "starting" && health != "healthy" && health != "unhealthy" &&
            health != "none") {
            return fail(Code::InvalidArgument, "Unrecognised filter value for health: {}", health);
        }
    }
    for (const auto& [key, ports] : {std::pair("publish", &published_), {"expose", &exposed_}}) {
        for (const std::string& value : filters_->get(key)) {
            ports->merge(TRY(parse_ports(key, value)));
        }
    }
    return {};
}

Result<void> Selection::find_bounds() {
    for (const std::string& name : filters_->get("before")) {
        before_ = TRY(containers_->find(name))->record()->created;
    }
    for (const std::string& name : filters_->get("since")) {
        since_ = TRY(containers_->find(name))->record()->created;
    }
    return {};
}

// Made from the image itself, or from one that has more layers on top of it.
bool Selection::has_ancestor(const Record& record) const {
    return std::any_of(ancestors_.begin(), ancestors_.end(), [&](const auto& image) {
        if (image.id == record.image_id) return true;
        if (image.chain_id.empty() || image.chain_id == record.chain_id) return false;
        const auto chain = containers_->core.store.layers().chain(record.chain_id);
        return chain && std::any_of(chain->begin(), chain->end(), [&](const store::Layer& layer) {
                   return layer.chain_id == image.chain_id;
               });
    });
}

bool Selection::matches(const Record& record) const {
    const Filters& filters = *filters_;
    if (!record.is_up() && !stopped_too_) return false;
    if (tasks_) return false;
    if (!before_.empty() && record.created >= before_) return false;
    if (!since_.empty() && record.created <= since_) return false;
    if (!filters.matches("status", record.status)) return false;
    if (!filters.match_labels(record.config.labels)) return false;
    if (filters.has("ancestor") && !has_ancestor(record)) return false;
    if (!exit_codes_.empty() && (record.is_up() || record.state() == Status::Created ||
                                 !exit_codes_.contains(record.exit_code))) {
        return false;
    }
    const std::string health = record.health ? record.health->status : "none";
    if (!filters.matches("health", health)) return false;
    const Values& ids = filters.get("id");
    if (!ids.empty() &&
        !any_of(ids, [&](const std::string& id) { return record.id.starts_with(id); })) {
        return false;
    }
    if (!names_.empty() && std::none_of(names_.begin(), names_.end(), [&](const Pattern& pattern) {
            return pattern.found_in(record.name) || pattern.found_in("/" + record.name);
        })) {
        return false;
    }
    const Values& volumes = filters.get("volume");
    return volumes.empty() || any_of(volumes, [&](const std::string& volume) {
               return std::any_of(record.mounts.begin(), record.mounts.end(),
                                  [&](const MountRecord& mount) {
                                      return mount.target == volume || mount.name == volume ||
                                             (mount.name.empty() && mount.source == volume);
                                  });
           });
}

bool Selection::matches(const api::ContainerSummary& view) const {
    const Values& networks = filters_->get("network");
    const auto on_network = [&](const std::string& wanted) {
        const auto& on = view.network_settings.networks;
        return std::any_of(on.begin(), on.end(), [&](const auto& entry) {
            return entry.first == wanted ||
                   (!wanted.empty() && entry.second.network_id.starts_with(wanted));
        });
    };
    if (!networks.empty() && !any_of(networks, on_network)) return false;
    const auto has_port = [&](const std::set<std::string>& wanted, auto member) {
        return wanted.empty() ||
               std::any_of(view.ports.begin(), view.ports.end(), [&](const api::Port& port) {
                   return wanted.contains(format("{}/{}", port.*member, port.type));
               });
    };
    return has_port(published_, &api::Port::public_port) &&
           has_port(exposed_, &api::Port::private_port);
}

// Names of images, looked up once a list.
class ImageNames {
  public:
    explicit ImageNames(const Images& images) : images_(&images) {}
    // The name a container was made from, or the image's id when the name means another by now.
    std::string shown(const Record& record) {
        const auto [entry, added] = ids_.try_emplace(record.image_name);
        if (added) {
            if (const auto image = images_->look_up(record.image_name)) entry->second = image->id;
        }
        return entry->second == record.image_id ? record.image_name : record.image_id;
    }

  private:
    const Images* images_;
    std::map<std::string, std::string> ids_;
};

}  // namespace

Result<Containers::Impl::Sizes> Containers::Impl::sizes(const Record& record, SizeOf what) const {
    Sizes sizes;
    const auto own =
        TRY(sys::measure_tree(folder(record) + (what == SizeOf::Whole ? "" : "/diff")));
    sizes.own = static_cast<std::int64_t>(own.bytes);
    sizes.with_image = sizes.own;
    if (record.chain_id.empty()) return sizes;
    for (const store::Layer& layer : TRY(core.store.layers().chain(record.chain_id))) {
        sizes.with_image += static_cast<std::int64_t>(layer.size);
    }
    return sizes;
}

Result<std::vector<api::ContainerSummary>> Containers::list(const ListOptions& options) const {
    const Selection selection = TRY(Selection::create(*impl_, options));
    std::vector<std::shared_ptr<const Record>> records;
    for (const auto& container : impl_->all()) records.push_back(container->record());
    std::sort(records.begin(), records.end(),
              [](const auto& a, const auto& b) { return a->created > b->created; });
    ImageNames names(impl_->core.images);
    std::vector<api::ContainerSummary> out;
    for (const auto& record : records) {
        if (!selection.matches(*record)) continue;
        api::ContainerSummary view = impl_->summary(*record);
        if (!selection.matches(view)) continue;
        view.image = names.shown(*record);
        if (options.size != SizeOf::Nothing) {
            const Impl::Sizes sizes = TRY(impl_->sizes(*record, options.size));
            view.size_rw = sizes.own;
            view.size_root_fs = sizes.with_image;
        }
        out.push_back(std::move(view));
        if (options.limit > 0 && out.size() == static_cast<std::size_t>(options.limit)) break;
    }
    return out;
}

}  // namespace coffer::engine

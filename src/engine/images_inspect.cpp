#include "engine/images_impl.hpp"

namespace coffer::engine {

namespace {

api::ImageConfig to_api(const oci::RunConfig& config) {
    api::ImageConfig out;
    out.args_escaped = config.args_escaped;
    out.cmd = config.cmd;
    out.entrypoint = config.entrypoint;
    out.env = config.env;
    out.exposed_ports = config.exposed_ports;
    if (const auto& check = config.healthcheck)
        out.healthcheck =
            api::HealthConfig{check->test,         check->interval,       check->timeout,
                              check->start_period, check->start_interval, check->retries};
    out.labels = config.labels;
    out.on_build = config.on_build;
    out.shell = config.shell;
    out.stop_signal = config.stop_signal;
    out.user = config.user;
    out.volumes = config.volumes;
    out.working_dir = config.working_dir;
    return out;
}

}  // namespace

Result<api::ImageInspect> Images::inspect(const std::string& name,
                                          const ImageInspectOptions& options) const {
    const auto record = TRY(impl_->find_record(name, options.platform));
    const auto info = TRY(impl_->info(record.id));
    const auto& config = info->config;
    api::ImageInspect out;
    out.id = record.id;
    out.repo_tags = familiar_names(record.tags);
    out.repo_digests = familiar_names(record.digests);
    out.parent = info->parent;
    out.comment = info->comment;
    out.created = config.created;
    out.docker_version = info->docker_version;
    out.author = config.author;
    out.config = to_api(config.config);
    out.architecture = config.architecture;
    out.variant = config.variant;
    out.os = config.os;
    out.os_version = config.os_version;
    out.size = static_cast<std::int64_t>(record.size);
    out.graph_driver.name = "overlay2";
    if (!record.chain_id.empty()) {
        auto dirs = TRY(impl_->store.layers().lower_dirs(record.chain_id));
        out.graph_driver.data["UpperDir"] = dirs.front();
        dirs.erase(dirs.begin());
        if (!dirs.empty()) out.graph_driver.data["LowerDir"] = join(dirs, ":");
    }
    out.root_fs = {config.rootfs.type, config.rootfs.diff_ids};
    if (options.manifests) {
        const auto all = TRY(impl_->store.images().list());
        out.manifests = TRY(impl_->manifests_of(record, all));
        out.descriptor = TRY(impl_->descriptor_of(record));
    }
    if (!record.tags.empty()) out.metadata.last_tag_time = to_rfc3339_short(record.added);
    return out;
}

Result<std::vector<api::HistoryItem>> Images::history(const std::string& name,
                                                      const MaybePlatform& platform) const {
    const auto record = TRY(impl_->find_record(name, platform));
    const auto info = TRY(impl_->info(record.id));
    // From the lowest up, as the history counts.
    auto layers = TRY(impl_->store.layers().chain(record.chain_id));
    std::vector<api::HistoryItem> items;
    std::size_t next_layer = layers.size();
    for (const auto& step : info->config.history) {
        api::HistoryItem item;
        item.id = "<missing>";
        item.comment = step.comment;
        item.created_by = step.created_by;
        if (const auto created = parse_rfc3339(step.created)) item.created = unix_seconds(*created);
        if (!step.empty_layer) {
            if (next_layer == 0)
                return fail(Code::Internal, "too many non-empty layers in History section");
            item.size = static_cast<std::int64_t>(layers[--next_layer].size);
        }
        items.insert(items.begin(), std::move(item));
    }
    if (!items.empty()) {
        items.front().id = record.id;
        items.front().tags = familiar_names(record.tags);
    }
    return items;
}

}  // namespace coffer::engine

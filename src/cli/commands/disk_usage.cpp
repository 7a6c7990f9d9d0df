// coffer system df.
#include <algorithm>

#include "base/text.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/commands/rows.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFlags = {
    text("format", 0, kListFormatHelp),
    toggle("verbose", 'v', "Show detailed information on space usage"),
};

constexpr std::array kTotalColumns = {
    Column{"Type", "TYPE"}, Column{"TotalCount", "TOTAL"},        Column{"Active", "ACTIVE"},
    Column{"Size", "SIZE"}, Column{"Reclaimable", "RECLAIMABLE"},
};
constexpr std::array kBuildCacheColumns = {
    Column{"ID", "CACHE ID"},          Column{"Parent", "PARENT"},
    Column{"CacheType", "CACHE TYPE"}, Column{"Size", "SIZE"},
    Column{"CreatedSince", "CREATED"}, Column{"LastUsedSince", "LAST USED"},
    Column{"UsageCount", "USAGE"},     Column{"Shared", "SHARED"},
    Column{"InUse", "IN USE"},         Column{"Description", "DESCRIPTION"},
};

std::string size_text(std::int64_t bytes) {
    return human_size(static_cast<double>(bytes), 4);
}

// Of one kind of objects.
struct Total {
    std::size_t active = 0;
    std::int64_t size = 0;
    std::int64_t reclaimable = 0;

    void add(bool is_active, std::int64_t bytes) {
        size += bytes;
        if (is_active) {
            ++active;
        } else {
            reclaimable += bytes;
        }
    }
};

Total total_of_images(const json::Value& usage) {
    Total total{.size = int_of(usage, "LayersSize")};
    std::int64_t used = 0;
    for (const json::Value& image : array_of(usage, "Images")) {
        if (int_of(image, "Containers") <= 0) continue;
        ++total.active;
        used += int_of(image, "Size") - std::max<std::int64_t>(0, int_of(image, "SharedSize"));
    }
    total.reclaimable = std::max<std::int64_t>(0, total.size - used);
    return total;
}

Total total_of_containers(const json::Value& usage) {
    Total total;
    for (const json::Value& container : array_of(usage, "Containers")) {
        const std::string state = text_of(container, "State");
        total.add(state == "running" || state == "paused" || state == "restarting",
                  int_of(container, "SizeRw"));
    }
    return total;
}

Total total_of_volumes(const json::Value& usage) {
    Total total;
    for (const json::Value& volume : array_of(usage, "Volumes")) {
        total.add(int_of(volume, "UsageData.RefCount") > 0,
                  std::max<std::int64_t>(0, int_of(volume, "UsageData.Size")));
    }
    return total;
}

Total total_of_build_cache(const json::Value& usage) {
    Total total;
    for (const json::Value& record : array_of(usage, "BuildCache")) {
        const bool counts = !bool_of(record, "Shared");
        total.add(bool_of(record, "InUse"), counts ? int_of(record, "Size") : 0);
    }
    return total;
}

Row total_row(std::string_view type, std::size_t count, const Total& total) {
    std::string reclaimable = size_text(total.reclaimable);
    if (total.size > 0) reclaimable += format(" ({}%)", total.reclaimable * 100 / total.size);
    Row row;
    row.fields = json::Object{{"Active", format("{}", total.active)},
                              {"Reclaimable", reclaimable},
                              {"Size", size_text(total.size)},
                              {"TotalCount", format("{}", count)},
                              {"Type", type}};
    return row;
}

Result<void> print_totals(const json::Value& usage, std::string_view format) {
    const std::vector<Row> rows = {
        total_row("Images", array_of(usage, "Images").size(), total_of_images(usage)),
        total_row("Containers", array_of(usage, "Containers").size(), total_of_containers(usage)),
        total_row("Local Volumes", array_of(usage, "Volumes").size(), total_of_volumes(usage)),
        total_row("Build Cache", array_of(usage, "BuildCache").size(),
                  total_of_build_cache(usage))};
    return print_list(
        {kTotalColumns, "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
         "*formatter.diskUsageContext"},
        format, Quiet::No, rows);
}

Row build_cache_row(const json::Value& record, bool cut_down) {
    const std::size_t length = cut_down ? 12 : std::string::npos;
    const std::string id = text_of(record, "ID").substr(0, length);
    const std::string created = text_of(record, "CreatedAt");
    const std::string used = text_of(record, "LastUsedAt");
    Row row;
    row.fields = json::Object{{"CacheType", text_of(record, "Type")},
                              {"CreatedAt", created},
                              {"CreatedSince", age_of(created)},
                              {"Description", text_of(record, "Description")},
                              {"ID", id + (bool_of(record, "InUse") ? "*" : "")},
                              {"InUse", bool_of(record, "InUse") ? "true" : "false"},
                              {"LastUsedAt", used},
                              {"LastUsedSince", age_of(used)},
                              {"Parent", text_of(record, "Parents.0").substr(0, length)},
                              {"Shared", bool_of(record, "Shared") ? "true" : "false"},
                              {"Size", human_size(static_cast<double>(int_of(record, "Size")), 3)},
                              {"UsageCount", format("{}", int_of(record, "UsageCount"))}};
    return row;
}

// A table of -v, and where a template finds its rows.
struct Section {
    std::string_view title;
    std::string_view field;
    ListStyle style;
    Row (*row)(const json::Value& item, bool cut_down);
};

// docker shows no size of the whole root file system here.
Row container_usage_row(const json::Value& container, bool cut_down) {
    json::Value own = container;
    own.set("SizeRootFs", 0);
    return container_row(own, cut_down);
}

std::vector<Section> sections() {
    return {
        {"Images space usage:",
         "Images",
         {kImageColumns,
          "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t"
          "{{.UniqueSize}}\t{{.Containers}}",
          ""},
         &image_row},
        {"Containers space usage:",
         "Containers",
         {kContainerColumns,
          "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t"
          "{{.Status}}\t{{.Names}}",
          ""},
         &container_usage_row},
        {"Local Volumes space usage:",
         "Volumes",
         {kVolumeColumns, "{{.Name}}\t{{.Links}}\t{{.Size}}", ""},
         [](const json::Value& volume, bool) { return volume_row(volume); }},
        {"Build cache usage:",
         "BuildCache",
         {kBuildCacheColumns,
          "{{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t"
          "{{.UsageCount}}\t{{.Shared}}",
          ""},
         &build_cache_row},
    };
}

Result<void> print_details(const json::Value& usage, std::string pattern) {
    const bool tables = pattern.empty() || pattern == "table";
    if (pattern == "json") pattern = "{{json .}}";
    json::Value root(json::Object{});
    bool first = true;
    for (const Section& section : sections()) {
        std::vector<Row> rows;
        json::Array values;
        for (const json::Value& item : array_of(usage, section.field)) {
            rows.push_back(section.row(item, tables));
            values.push_back(rows.back().fields);
        }
        root.set(section.field, std::move(values));
        if (!tables) continue;
        std::string title(section.title);
        if (section.field == "BuildCache")
            title += " " + size_text(total_of_build_cache(usage).size);
        TRY(print(format("{}{}\n\n", std::exchange(first, false) ? "" : "\n", title)));
        TRY(print_list(section.style, "", Quiet::No, rows));
    }
    if (tables) return {};
    const Template parsed = TRY(Template::parse(pattern));
    // No end of the line: as docker has it.
    return print(TRY(parsed.execute({.root = root, .type_name = "*formatter.diskUsageContext"})));
}

Result<int> df(Invocation& call) {
    const json::Value usage = TRY(call.api.get("/system/df"));
    const std::string format = call.flags.text("format");
    if (call.flags.is_set("verbose")) {
        TRY(print_details(usage, format));
    } else {
        TRY(print_totals(usage, format));
    }
    return 0;
}

}  // namespace

namespace commands {

constinit const Command kSystemDf{
    .name = "df",
    .arguments = "[OPTIONS]",
    .summary = "Show disk usage",
    .run = &df,
    .flags = {kFlags},
};

}  // namespace commands

}  // namespace coffer::cli

#include "store/images.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace coffer::store {

namespace {

BlobKind kind_of(std::int64_t number) {
    switch (number) {
        case 0:
            return BlobKind::Config;
        case 1:
            return BlobKind::Manifest;
        case 2:
            return BlobKind::Index;
        default:
            return BlobKind::Layer;
    }
}

int number_of(BlobKind kind) {
    switch (kind) {
        case BlobKind::Config:
            return 0;
        case BlobKind::Manifest:
            return 1;
        case BlobKind::Index:
            return 2;
        case BlobKind::Layer:
            return 3;
    }
    return 3;
}

Failure no_such(std::string_view id) {
    return fail(Code::NotFound, "no such image: {}", id);
}

// The images with all that belongs to them; of one id, or of all when it is empty.
Result<std::vector<ImageRecord>> load(Database& database, std::string_view id) {
    Transaction tx = TRY(database.begin());
    std::map<std::string, Layer> layers;
    for (const Row& row : TRY(tx.query("SELECT chain_id, parent, size FROM layers"))) {
        layers[row.text(0)] = {
            row.text(0), {}, row.text(1), static_cast<std::uint64_t>(row.integer(2))};
    }
    std::map<std::string, ImageRecord> images;
    for (const Row& row : TRY(tx.query("SELECT id, chain_id, added FROM images "
                                       "WHERE ?1 = '' OR id = ?1",
                                       {id}))) {
        ImageRecord& image = images[row.text(0)];
        image.id = row.text(0);
        image.chain_id = row.text(1);
        image.added = Time(std::chrono::nanoseconds(row.integer(2)));
        for (auto layer = layers.find(image.chain_id); layer != layers.end();
             layer = layers.find(layer->second.parent)) {
            image.size += layer->second.size;
        }
    }
    for (const Row& row :
         TRY(tx.query("SELECT image_id, kind, digest, media_type, size FROM image_blobs "
                      "WHERE ?1 = '' OR image_id = ?1 ORDER BY image_id, position",
                      {id}))) {
        images[row.text(0)].blobs.push_back({kind_of(row.integer(1)), row.text(2), row.text(3),
                                             static_cast<std::uint64_t>(row.integer(4))});
    }
    for (const Row& row :
         TRY(tx.query("SELECT image_id, reference, is_digest FROM image_references "
                      "WHERE ?1 = '' OR image_id = ?1 ORDER BY reference",
                      {id}))) {
        ImageRecord& image = images[row.text(0)];
        (row.boolean(2) ? image.digests : image.tags).push_back(row.text(1));
    }
    std::vector<ImageRecord> out;
    out.reserve(images.size());
    for (auto& [key, image] : images) out.push_back(std::move(image));
    return out;
}

}  // namespace

Images::Images(Database& database, Gc& gc) : database_(&database), gc_(&gc) {}

Result<void> Images::add(const ImageRecord& image) {
    Transaction tx = TRY(database_->begin());
    const Value chain = image.chain_id.empty() ? Value(nullptr) : Value(image.chain_id);
    const auto added =
        TRY_CONTEXT(tx.run("INSERT INTO images (id, chain_id, added) VALUES (?, ?, ?) "
                           "ON CONFLICT (id) DO NOTHING",
                           {image.id, chain, std::int64_t{now().time_since_epoch().count()}}),
                    "add image {}", image.id);
    std::set<std::string> known;
    std::int64_t position = 0;
    if (added == 0) {
        for (const Row& row : TRY(tx.query(
                 "SELECT digest, position FROM image_blobs WHERE image_id = ?", {image.id}))) {
            known.insert(row.text(0));
            position = std::max(position, row.integer(1) + 1);
        }
    }
    for (const ImageBlob& blob : image.blobs) {
        if (known.contains(blob.digest)) continue;
        TRY(tx.run(
            "INSERT INTO image_blobs (image_id, position, kind, digest, media_type, size) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            {image.id, position++, number_of(blob.kind), blob.digest, blob.media_type, blob.size}));
    }
    return tx.commit();
}

Result<std::optional<std::string>> Images::tag(std::string_view name, std::string_view id) {
    Transaction tx = TRY(database_->begin());
    const auto before =
        TRY(tx.first("SELECT image_id FROM image_references WHERE reference = ?", {name}));
    const auto set = tx.run(
        "INSERT INTO image_references (reference, image_id, is_digest) "
        "VALUES (?, ?, 0) ON CONFLICT (reference) DO UPDATE "
        "SET image_id = excluded.image_id",
        {name, id});
    if (!set && set.error().code == Code::Conflict) return no_such(id);
    if (!set) return fail(set.error());
    TRY(tx.commit());
    return before ? std::optional(before->text(0)) : std::nullopt;
}

Result<void> Images::add_digest(std::string_view reference, std::string_view id) {
    const auto set = database_->run(
        "INSERT INTO image_references (reference, image_id, is_digest) VALUES (?, ?, 1) "
        "ON CONFLICT (reference) DO UPDATE SET image_id = excluded.image_id",
        {reference, id});
    if (!set && set.error().code == Code::Conflict) return no_such(id);
    if (!set) return fail(set.error());
    return {};
}

Result<void> Images::untag(std::string_view reference) {
    const auto n =
        TRY(database_->run("DELETE FROM image_references WHERE reference = ?", {reference}));
    if (n == 0) return no_such(reference);
    return {};
}

Result<ImageRecord> Images::get(std::string_view id) const {
    if (id.empty()) return no_such(id);
    auto found = TRY(load(*database_, id));
    if (found.empty()) return no_such(id);
    return std::move(found.front());
}

std::optional<std::string> Images::find_reference(std::string_view reference) const {
    const auto row =
        database_->first("SELECT image_id FROM image_references WHERE reference = ?", {reference});
    if (!row || !*row) return {};
    return (*row)->text(0);
}

Result<std::optional<std::string>> Images::find_id(std::string_view prefix) const {
    std::string_view hex = prefix;
    if (hex.starts_with("sha256:")) hex.remove_prefix(7);
    if (hex.empty() || hex.size() > 64 ||
        hex.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
        return std::optional<std::string>();
    }
    const std::string from = format("sha256:{}", hex);
    const auto rows = TRY(database_->query("SELECT id FROM images WHERE id >= ? AND id < ? LIMIT 2",
                                           {from, from + "g"}));
    if (rows.size() > 1) {
        return fail(Code::Conflict, "several images have an id that begins with '{}'", prefix);
    }
    if (rows.empty()) return std::optional<std::string>();
    return std::optional<std::string>(rows[0].text(0));
}

Result<std::vector<ImageRecord>> Images::list() const {
    return load(*database_, "");
}

Result<std::vector<std::string>> Images::built_on(std::string_view id) const {
    const auto rows = TRY(database_->query(
        "WITH RECURSIVE above(chain_id) AS ("
        "  SELECT layers.chain_id FROM layers JOIN images ON layers.parent = images.chain_id"
        "    WHERE images.id = ?"
        "  UNION SELECT layers.chain_id FROM layers JOIN above ON layers.parent = above.chain_id)"
        " SELECT id FROM images WHERE chain_id IN (SELECT chain_id FROM above) ORDER BY id",
        {id}));
    std::vector<std::string> ids;
    ids.reserve(rows.size());
    for (const Row& row : rows) ids.push_back(row.text(0));
    return ids;
}

Result<std::vector<std::string>> Images::remove(std::string_view id) {
    std::vector<std::string> blobs;
    std::vector<std::string> layers;
    Transaction tx = TRY(database_->begin());
    for (const Row& row :
         TRY(tx.query("WITH RECURSIVE below(chain_id) AS (SELECT chain_id FROM images WHERE id = ?"
                      " UNION ALL SELECT layers.parent FROM layers JOIN below USING (chain_id))"
                      " SELECT chain_id FROM below WHERE chain_id IS NOT NULL",
                      {id}))) {
        layers.push_back(row.text(0));
    }
    for (const Row& row :
         TRY(tx.query("SELECT digest FROM image_blobs WHERE image_id = ?", {id}))) {
        blobs.push_back(row.text(0));
    }
    if (TRY(tx.run("DELETE FROM images WHERE id = ?", {id})) == 0) return no_such(id);
    TRY(tx.commit());
    return gc_->collect(blobs, layers);
}

}  // namespace coffer::store

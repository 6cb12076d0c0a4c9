package perenne.pnp.store;

import jakarta.enterprise.context.ApplicationScoped;
import jakarta.inject.Inject;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import perenne.pnp.Node;

/** Rows that drills write and look for afterwards: no acknowledged one may be lost. */
@ApplicationScoped
public class Ledger {

    private static final String COLUMNS = "id, seq, client, node, server, written_at";

    @Inject
    private Database database;

    /**
     * A row.
     *
     * @param seq grows with every row, with gaps
     * @param node application server that inserted it
     * @param server address of the database server that took it; null over a local socket
     */
    public record Entry(UUID id, long seq, String client, String node, String server, Instant writtenAt) {}

    /** A row, and whether it was this call that inserted it. */
    public record Written(Entry entry, boolean fresh) {}

    /** Inserts a row, once for an id, and returns after the commit; if there is one already, returns that. */
    public Written write(UUID id, String client) {
        return database.run((connection, again) -> {
            try (PreparedStatement insert = connection.prepareStatement(
                    "INSERT INTO ledger (id, client, node, server) VALUES (?, ?, ?, host(inet_server_addr()))"
                            + " ON CONFLICT (id) DO NOTHING RETURNING " + COLUMNS)) {
                insert.setObject(1, id);
                insert.setString(2, client);
                insert.setString(3, Node.NAME);
                List<Entry> inserted = entries(insert);
                if (!inserted.isEmpty()) {
                    return new Written(inserted.get(0), true);
                }
            }
            Entry earlier = select(connection, List.of(id)).stream().findFirst()
                    .orElseThrow(() -> new SQLException("the row vanished", "40001"));
            return new Written(earlier, false);
        });
    }

    public Optional<Entry> find(UUID id) {
        return find(List.of(id)).stream().findFirst();
    }

    /** Those of the ids that are there. */
    public List<Entry> find(Collection<UUID> ids) {
        return database.run((connection, again) -> select(connection, ids));
    }

    /** Number of rows of a client (null for all) written at or after a time (null for ever). */
    public long count(String client, Instant since) {
        return database.run((connection, again) -> {
            try (PreparedStatement count = connection.prepareStatement("SELECT count(*) FROM ledger"
                    + " WHERE (?::text IS NULL OR client = ?) AND written_at >= coalesce(?::timestamptz, '-infinity')")) {
                count.setString(1, client);
                count.setString(2, client);
                count.setObject(3, time(since));
                try (ResultSet row = count.executeQuery()) {
                    row.next();
                    return row.getLong(1);
                }
            }
        });
    }

    /** Rows of a client (null for all) written at or after a time (null for ever), in order of {@code seq}. */
    public List<Entry> list(String client, Instant since, long afterSeq, int limit) {
        return database.run((connection, again) -> {
            try (PreparedStatement select = connection.prepareStatement("SELECT " + COLUMNS + " FROM ledger"
                    + " WHERE (?::text IS NULL OR client = ?) AND written_at >= coalesce(?::timestamptz, '-infinity')"
                    + " AND seq > ? ORDER BY seq LIMIT ?")) {
                select.setString(1, client);
                select.setString(2, client);
                select.setObject(3, time(since));
                select.setLong(4, afterSeq);
                select.setInt(5, limit);
                return entries(select);
            }
        });
    }

    private static OffsetDateTime time(Instant instant) {
        return instant == null ? null : instant.atOffset(ZoneOffset.UTC);
    }

    private static List<Entry> select(Connection connection, Collection<UUID> ids) throws SQLException {
        Array array = connection.createArrayOf("uuid", ids.toArray());
        try (PreparedStatement select = connection.prepareStatement(
                "SELECT " + COLUMNS + " FROM ledger WHERE id = ANY (?) ORDER BY seq")) {
            select.setArray(1, array);
            return entries(select);
        } finally {
            array.free();
        }
    }

    private static List<Entry> entries(PreparedStatement statement) throws SQLException {
        List<Entry> entries = new ArrayList<>();
        try (ResultSet rows = statement.executeQuery()) {
            while (rows.next()) {
                entries.add(new Entry(
                        rows.getObject("id", UUID.class),
                        rows.getLong("seq"),
                        rows.getString("client"),
                        rows.getString("node"),
                        rows.getString("server"),
                        rows.getObject("written_at", OffsetDateTime.class).toInstant()));
            }
        }
        return entries;
    }
}

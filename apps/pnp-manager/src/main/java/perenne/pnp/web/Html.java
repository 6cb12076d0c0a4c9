package perenne.pnp.web;

import java.util.Collection;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A piece of markup. Whatever is put into a template is escaped, unless it is markup itself.
 *
 * <p>Views are plain Java, compiled with the rest: a JSP would be compiled at its first request on each node, which is just
 * when the other node has died.
 */
public record Html(String markup) {

    public static final Html NOTHING = new Html("");

    /**
     * Fills a template.
     *
     * @param template markup with {@code %s} for each value; literal per cent signs are doubled
     * @param values markup ({@code Html}) or anything else, which becomes escaped text
     */
    public static Html of(String template, Object... values) {
        return new Html(template.formatted(Stream.of(values).map(Html::markupOf).toArray()));
    }

    public static Html join(Collection<Html> pieces) {
        return new Html(pieces.stream().map(piece -> piece.markup).collect(Collectors.joining()));
    }

    public static Html when(boolean condition, String template, Object... values) {
        return condition ? of(template, values) : NOTHING;
    }

    private static String markupOf(Object value) {
        return value instanceof Html html ? html.markup : escape(String.valueOf(value));
    }

    private static String escape(String text) {
        StringBuilder escaped = new StringBuilder(text.length() + 16);
        for (char c : text.toCharArray()) {
            switch (c) {
                case '&' -> escaped.append("&amp;");
                case '<' -> escaped.append("&lt;");
                case '>' -> escaped.append("&gt;");
                case '"' -> escaped.append("&quot;");
                case '\'' -> escaped.append("&#39;");
                default -> escaped.append(c);
            }
        }
        return escaped.toString();
    }
}

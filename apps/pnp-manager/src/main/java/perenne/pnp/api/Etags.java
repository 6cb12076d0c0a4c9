package perenne.pnp.api;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A person's version as entity tag. */
final class Etags {

    /** Apache's mod_deflate puts {@code -gzip} into the tag of what it compresses. */
    private static final Pattern TAG = Pattern.compile("(?:W/)?\"(\\d{1,18})(?:-gzip)?\"");

    private Etags() {}

    static String of(long version) {
        return "\"" + version + "\"";
    }

    /**
     * The version in an If-Match header.
     *
     * @return null when there is no header, or when it takes any version ({@code *})
     */
    static Long version(String ifMatch) {
        if (ifMatch == null || ifMatch.strip().equals("*")) {
            return null;
        }
        Matcher tag = TAG.matcher(ifMatch.strip());
        if (!tag.matches()) {
            throw Problem.exception(412, "If-Match must carry the ETag of the person, such as \"3\".");
        }
        return Long.valueOf(tag.group(1));
    }
}

package perenne.pnp.web;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SameOriginTest {

    @ParameterizedTest
    @CsvSource(nullValues = "-", value = {
        "same-origin, https://pnp.vmlabs.int, true",
        "none, -, true",
        "same-site, https://other.vmlabs.int, false",
        "cross-site, https://pnp.vmlabs.int, false",
        "cross-site, -, false",
        "-, https://pnp.vmlabs.int, true",
        "-, https://PNP.vmlabs.int:8443, true",
        "-, https://pnp.vmlabs.int.example, false",
        "-, https://other.example, false",
        "-, null, false",
        "-, no origin, false",
        "-, -, true",
    })
    void onlyTheSiteItselfSendsItsForms(String fetchSite, String origin, boolean isOwn) {
        assertEquals(isOwn, SameOrigin.isOwn(fetchSite, origin, "pnp.vmlabs.int"));
    }
}

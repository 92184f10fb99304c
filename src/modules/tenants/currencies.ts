// ISO 4217: every code and how many decimals its minor unit has.
// Source: ISO 4217:2015 list one with its amendments to the end of 2025, maintained by SIX; CLDR differs on purpose (it says 0 for
// currencies whose minor unit is no longer minted) and is not used.

const codes_by_scale: Record<string, string> = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF',
  2: `AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU
    CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS
    KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB
    PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD
    TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG`,
  3: 'BHD IQD JOD KWD LYD OMR TND',
  4: 'CLF UYW',
};

/** withdrawn in the last years, kept for books that have a past in them */
const withdrawn: Record<string, string> = { 2: 'ANG BGN CUC HRK SLL ZWL' };

/** codes without a minor unit (metals, bond units, testing, no currency): nothing can be booked in them, nor may an asset take them */
const without_minor_unit = 'XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX';

/** code → decimals of the minor unit; null when it has none */
export const iso_4217: ReadonlyMap<string, number | null> = new Map<string, number | null>([
  ...[codes_by_scale, withdrawn].flatMap((table) =>
    Object.entries(table).flatMap(([scale, codes]) =>
      codes.split(/\s+/).map((code) => [code, Number(scale)] as const),
    ),
  ),
  ...without_minor_unit.split(' ').map((code) => [code, null] as const),
]);
